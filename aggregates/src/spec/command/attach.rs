//! AttachSandbox: a worker says that it is up. The first instance of an epoch wins.

use super::Decision;
use crate::spec::event::Event;
use crate::spec::rejection::Rejection;
use crate::spec::state::{Sandbox, Spec};
use crate::{Epoch, InstanceId};

#[derive(Debug, Clone)]
pub struct AttachSandbox {
    pub epoch: Epoch,
    pub instance: InstanceId,
    pub provider: String,
    /// What keeps the sandbox apart from its machine, where the provider says.
    pub isolation: Option<String>,
    pub worker_version: String,
}

impl AttachSandbox {
    pub(super) fn decide(&self, spec: &Spec) -> Decision {
        if spec.status.is_ended() {
            return Err(Rejection::Ended { status: spec.status });
        }
        let stale = Rejection::StaleEpoch { given: self.epoch, current: spec.epoch };
        if self.epoch != spec.epoch {
            return Err(stale);
        }
        let manifest = spec.manifest.as_ref().ok_or(Rejection::WrongManifest)?;
        match spec.sandbox {
            Sandbox::Requested { id } => Ok(vec![Event::SandboxAttached {
                epoch: self.epoch,
                sandbox: id,
                instance: self.instance,
                provider: self.provider.clone(),
                isolation: self.isolation.clone(),
                worker_version: self.worker_version.clone(),
                manifest: manifest.digest,
                commit: manifest.commit.clone(),
            }]),
            Sandbox::Attached { instance, .. } if instance == self.instance => Ok(Vec::new()),
            Sandbox::Attached { .. } | Sandbox::None => Err(stale),
        }
    }
}
