//! What is read from repositories: routes, models, stack, relevance, ignored files, bounds.

use super::super::language::{self, Family, Role};
use super::super::survey::Survey;
use super::super::{Request, explore, routes, walk};
use super::repos;

fn routes_of(family: Family, path: &str, text: &str) -> Vec<String> {
    let found = routes::read(family, path, text);
    found.iter().map(|route| format!("{} {}:{}", route.method, route.path, route.line)).collect()
}

#[test]
fn routes_of_the_common_frameworks_are_read() {
    let axum = "pub fn api() -> Router {\n    Router::new().nest(\"/orders\", orders())\n}\n\n\
                fn orders() -> Router {\n    Router::new()\n        .route(\n \
                \x20          \"/{id}\",\n\
                \x20           get(show).delete(remove),\n        )\n}\n";
    assert_eq!(
        routes_of(Family::Rust, "src/api.rs", axum),
        ["GET /orders/{id}:7", "DELETE /orders/{id}:7"]
    );
    let actix = "#[post(\"/orders\")]\nasync fn create() {}\n";
    assert_eq!(routes_of(Family::Rust, "src/api.rs", actix), ["POST /orders:1"]);
    let flask = "@app.route('/orders', methods=['POST'])\ndef create():\n    pass\n";
    assert_eq!(routes_of(Family::Python, "app.py", flask), ["POST /orders:1"]);
    let django = "urlpatterns = [\n    path('orders/', views.orders),\n]\n";
    assert_eq!(routes_of(Family::Python, "shop/urls.py", django), ["ANY /orders/:2"]);
    let nest = "@Controller('orders')\nexport class Orders {\n  @Get(':id')\n  show() {}\n}\n";
    assert_eq!(routes_of(Family::Script, "orders.ts", nest), ["GET /orders/:id:3"]);
    let app_folder = "export async function GET(request: Request) {}\n";
    assert_eq!(routes_of(Family::Script, "src/app/orders/route.ts", app_folder), ["GET /orders:1"]);
    let go = "mux.HandleFunc(\"GET /orders\", list)\nr.POST(\"/orders\", create)\n";
    assert_eq!(routes_of(Family::Go, "main.go", go), ["GET /orders:1", "POST /orders:2"]);
    let spring =
        "@RequestMapping(\"/orders\")\npublic class Orders {\n    @GetMapping(\"/{id}\")\n";
    assert_eq!(routes_of(Family::Java, "Orders.java", spring), ["GET /orders/{id}:3"]);
}

#[test]
fn calls_of_clients_and_maps_are_no_routes() {
    let text = "axios.get('/orders');\ncache.get('/orders');\nconst a = http.post('/x');\n";
    assert!(routes_of(Family::Script, "client.ts", text).is_empty());
}

#[test]
fn a_rust_service_is_described_by_what_it_holds() {
    let folder = repos::lay(repos::AXUM);
    let request = Request { title: "", description: "Orders can be cancelled by the customer" };
    let found = explore(folder.path(), &request).unwrap();
    assert_eq!(found.project_type, "Rust web service (axum)");
    assert!(found.summary.contains("no model was used"), "{}", found.summary);
    assert!(found.summary.contains("keeps the orders of a shop"), "{}", found.summary);
    for item in ["Rust", "axum", "SQLx"] {
        assert!(found.tech_stack.iter().any(|known| known == item), "{:?}", found.tech_stack);
    }
    assert_eq!(found.entry_points, ["src/main.rs"]);
    let order = found.existing_models.iter().find(|model| model.name == "Order").unwrap();
    assert_eq!(order.fields, ["id: Uuid", "customer: String", "total_cents: i64"]);
    let related: Vec<&str> = found.related_to_feature.iter().map(|r| r.path.as_str()).collect();
    assert!(related[..2].contains(&"src/routes.rs"), "{related:?}");
    let routes = found.related_to_feature.iter().find(|r| r.path == "src/routes.rs").unwrap();
    assert!(routes.why.contains("`list_orders` (line 11)"), "{}", routes.why);
    assert!(routes.why.contains("serves GET /orders (line 7) and 3 more"), "{}", routes.why);
}

#[test]
fn models_are_read_in_each_language() {
    let cases: [(repos::Repo, &str, &str); 5] = [
        (repos::FASTAPI, "Post", "title: str"),
        (repos::FASTAPI, "User", "email"),
        (repos::EXPRESS, "Cart", "id: string"),
        (repos::GO, "Link", "Target: string"),
        (repos::SPRING, "Invoice", "customer: String"),
    ];
    for (files, name, field) in cases {
        let folder = repos::lay(files);
        let survey = Survey::of(folder.path()).unwrap();
        let model = survey.models.iter().flatten().find(|model| model.name == name);
        let model = model.unwrap_or_else(|| panic!("{name} is not found"));
        assert!(model.fields.iter().any(|known| known == field), "{:?}", model.fields);
    }
}

#[test]
fn ignored_binary_huge_and_own_files_are_passed_over() {
    let huge = "x".repeat(usize::try_from(walk::MAX_FILE_BYTES).unwrap() + 1);
    let folder = repos::lay(&[
        (".gitignore", "secret.py\n"),
        ("secret.py", "def hidden(): pass\n"),
        ("app.py", "def shown(): pass\n"),
        ("data.py", &huge),
        ("logo.py", "\u{0}\u{1}"),
        (".git/config", "[core]"),
        ("node_modules/x/index.js", "x()"),
        ("specs/old/requirements.md", "# Old"),
    ]);
    let listing = walk::read(folder.path()).unwrap();
    let paths: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [".gitignore", "app.py", "data.py", "logo.py"]);
    let read: Vec<bool> = listing.files.iter().map(|file| file.text.is_some()).collect();
    assert_eq!(read, [true, true, false, false]);
    assert_eq!(listing.bounds_hit, ["1 files over 1 MiB were not read"]);
}

#[test]
fn an_ignored_folder_around_the_repository_hides_nothing() {
    let folder = repos::lay(&[(".gitignore", "*\n"), ("box/app.py", "def shown(): pass\n")]);
    let listing = walk::read(&folder.path().join("box")).unwrap();
    assert_eq!(listing.files.len(), 1);
}

#[test]
fn roles_follow_from_paths() {
    for (path, role) in [
        ("src/lib.rs", Role::Source),
        ("src/store/tests.rs", Role::Test),
        ("web/cart.test.ts", Role::Test),
        ("src/test/java/ATest.java", Role::Test),
        ("docs/guide.md", Role::Docs),
        ("requirements.txt", Role::Config),
        ("Cargo.lock", Role::Passive),
        ("vendor/x.go", Role::Passive),
    ] {
        assert_eq!(language::role(path), role, "{path}");
    }
}

#[test]
fn an_absent_folder_is_an_error() {
    let request = Request { title: "x", description: "" };
    assert!(explore(std::path::Path::new("/nowhere/at/all"), &request).is_err());
}
