//! Gathers what an export is made of.

use specline_aggregates::{Phase, SpecId};

use super::{Engine, EngineError};
use crate::export::Material;
use crate::view::SpecView;

impl Engine {
    /// A spec as it is, or as it was after event `version`, with its accepted outputs.
    pub async fn material(
        &self,
        id: SpecId,
        version: Option<u64>,
        number: u32,
    ) -> Result<Material, EngineError> {
        let spec = match version {
            Some(version) => self.spec_as_of(id, version).await?,
            None => self.spec(id).await?,
        };
        let blobs = self.blobs(&spec).await?;
        let earlier = spec.earlier(Phase::Sync, &blobs).map_err(|e| EngineError::refused(&e))?;
        let mut outputs = std::collections::BTreeMap::new();
        for phase in Phase::ALL {
            let text = spec.output_text(phase, &blobs).map_err(|e| EngineError::refused(&e))?;
            if let Some(text) = text {
                outputs.insert(phase, (*text).clone());
            }
        }
        let missing = || EngineError::NotFound { what: "spec", id: id.to_string() };
        let view = SpecView::of(&spec).ok_or_else(missing)?;
        let description = spec.brief().map(|brief| brief.description.clone()).unwrap_or_default();
        let created = self.began(id).await?;
        Ok(Material {
            view,
            description,
            created,
            number,
            explore: earlier.explore,
            requirements: earlier.requirements,
            design: earlier.design,
            tasks: earlier.tasks,
            outputs,
        })
    }
}
