//! TLS, with a certificate of the test's own and a real handshake.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use specline::http::{self, Api, Tls};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, rustls};
use tokio_util::sync::CancellationToken;

use super::Caller;
use crate::support::{Lab, Project, Start};

/// A certificate for localhost and its key, fresh.
fn certificate(project: &Project) -> (PathBuf, PathBuf) {
    let (certificate, key) = (project.path("cert.pem"), project.path("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1".split(' '));
    openssl.args("-nodes -days 1 -subj /CN=localhost".split(' '));
    openssl.args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let made = openssl.output().expect("openssl makes certificates");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

fn client(trusted: Option<&PathBuf>) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = trusted {
        roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_answered_over_tls() {
    let lab = Lab::new(Start::Nothing).await;
    let made = Caller::of(&lab).key_with("reader").await;
    let (certificate, key) = certificate(&lab.project);
    let tls = Tls::read(&certificate, &key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let api = Api::new(lab.engine.clone(), &lab.engine.operator_token());
    let stop = CancellationToken::new();
    let server = tokio::spawn(http::serve_with(listener, Some(tls), api, stop.clone()));
    let name = || ServerName::try_from("localhost").unwrap();

    let ask = async |name, trusted| {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = client(trusted).connect(name, stream).await?;
        let request = format!(
            "GET /api/v1/specs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             connection: close\r\n\r\n",
            made.key
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask(name(), Some(&certificate)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains(r#"{"specs":[]"#), "{answer}");
    ask(name(), None).await.expect_err("nobody vouches for it");
    let other = ServerName::try_from("example.com").unwrap();
    ask(other, Some(&certificate)).await.expect_err("it is another's");

    // Who does not speak TLS gets nothing, and does no harm.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    drop(plain.read_to_end(&mut answer).await);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    let silent = TcpStream::connect(address).await.unwrap();
    assert!(ask(name(), Some(&certificate)).await.is_ok(), "one that is silent holds up nobody");
    drop(silent);
    stop.cancel();
    server.await.unwrap().unwrap();
}

#[test]
fn serve_takes_a_certificate() {
    let project = Project::new();
    let (certificate, key) = certificate(&project);
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let swapped = project.specline(&["serve", "--tls-cert", key, "--tls-key", certificate]);
    assert_eq!(swapped.code(), 78, "{swapped:?}");
    let args = ["serve", "--listen", "127.0.0.1:0", "--tls-cert", certificate, "--tls-key", key];
    let mut running = project.start(project.command(&args));
    let url = crate::support::wait_for("the address", || {
        assert!(!running.has_ended(), "{}", running.stderr());
        running.stdout().lines().next().map(str::to_owned)
    });
    let port = url.strip_prefix("https://127.0.0.1:").expect("it is TLS").to_owned();
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", certificate]);
    openssl.args(["-verify_return_error", "-verify_hostname", "localhost", "-brief"]);
    let shook = openssl.stdin(std::process::Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&shook.stderr).into_owned();
    assert!(shook.status.success() && said.contains("TLSv1.3"), "{said}");
    let mut old = Command::new("openssl");
    old.args(["s_client", "-tls1_2", "-connect", &format!("127.0.0.1:{port}")]);
    let refused = old.stdin(std::process::Stdio::null()).output().unwrap();
    assert!(!refused.status.success(), "TLS 1.2 is not spoken");
    // The command line of this machine reaches the engine all the same.
    project.ok(&["keys", "list"]);
}
