//! Instances of a backplane that form one relay, and what a test may choose about them.

use std::sync::Arc;
use std::time::Duration;

use scumble::backplane::Backplane;
use scumble::limits::{CanvasRules, ObjectBounds, Quotas};
use scumble::memory::MemoryBackplane;
use scumble::protocol::ids::InstanceId;

/// What a test may choose. The defaults are long enough to play no part.
#[derive(Clone)]
pub struct Options {
    pub message_ttl: Duration,
    pub presence_grace: Duration,
    pub max_objects: usize,
    pub max_canvas_bytes: usize,
    pub quotas: Quotas,
    /// Replicas of the engine that must have what is committed.
    pub wait_replicas: u32,
}

impl Default for Options {
    fn default() -> Self {
        let long = Duration::from_secs(600);
        Self {
            message_ttl: long,
            presence_grace: long,
            max_objects: 1_000,
            max_canvas_bytes: 1 << 30,
            quotas: Quotas::default(),
            wait_replicas: 0,
        }
    }
}

impl Options {
    pub fn rules(&self) -> CanvasRules {
        CanvasRules {
            message_ttl: self.message_ttl,
            presence_grace: self.presence_grace,
            bounds: ObjectBounds {
                max_objects: self.max_objects,
                max_bytes: self.max_canvas_bytes,
            },
            quotas: self.quotas,
        }
    }
}

/// A relay to which instances are added. The harness shuts them down.
pub trait Cluster {
    /// How many instances a test gets.
    const INSTANCES: usize;

    /// An instance reads what it has heard, which may be less than what another one has.
    const READS_WHAT_IT_HEARD: bool = false;

    /// A relay without instances. Called, like [`Self::add`], within a tokio runtime.
    fn start(options: &Options) -> Self;

    /// Starts one more instance.
    fn add(&mut self) -> Arc<dyn Backplane>;
}

/// One instance in memory.
pub struct Memory(MemoryPeers);

impl Cluster for Memory {
    const INSTANCES: usize = 1;

    fn start(options: &Options) -> Self {
        Self(MemoryPeers::start(options))
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.0.add()
    }
}

/// Several instances in memory.
pub struct MemoryPeers {
    rules: CanvasRules,
    first: Option<Arc<MemoryBackplane>>,
    started: usize,
}

impl Cluster for MemoryPeers {
    const INSTANCES: usize = 3;

    fn start(options: &Options) -> Self {
        Self {
            rules: options.rules(),
            first: None,
            started: 0,
        }
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.started += 1;
        let name = InstanceId::parse(&format!("instance-{}", self.started)).expect("an id");
        match &self.first {
            Some(first) => first.start_peer(name),
            None => {
                let first = MemoryBackplane::start(name, &self.rules).expect("a thread");
                self.first = Some(Arc::clone(&first));
                first
            }
        }
    }
}
