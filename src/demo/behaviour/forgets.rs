//! `forgets`: works like `steady`, and has lost its tasks when the story restarts it.

use super::OnWire;

pub(super) struct Forgets;

impl OnWire for Forgets {
    fn forgets_tasks(&self) -> bool {
        true
    }
}
