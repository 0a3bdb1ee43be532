//! Copies over the engine in memory: as it should be, and where it doubles, delays, loses and forgets.

use std::sync::Arc;

use parking_lot::Mutex;
use scumble::backplane::{Backplane, Delivery, Sink};
use scumble::log::memory::{MemoryEngine, Trouble};
use scumble::log::{Engine, Introduction};
use scumble::protocol::ids::{CanvasId, InstanceId, Position};
use scumble::replicated::{ReplicatedBackplane, ReplicatedConfig};
use tokio::runtime::Handle;

use crate::cluster::{Cluster, Options};
use crate::harness::eventually;

/// Three instances over an engine that behaves.
pub struct Replicated {
    pub engine: Arc<MemoryEngine>,
    options: Options,
    started: usize,
    /// How the last one that was started makes itself known.
    pub introduced: Option<Introduction>,
}

impl Cluster for Replicated {
    const INSTANCES: usize = 3;
    const READS_WHAT_IT_HEARD: bool = true;

    fn start(options: &Options) -> Self {
        Self {
            engine: MemoryEngine::new(7),
            options: options.clone(),
            started: 0,
            introduced: None,
        }
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.started += 1;
        start_instance(&self.options, self.started, |me| {
            self.introduced = Some(me.clone());
            Ok(self.engine.member(me))
        })
    }
}

/// An instance over that engine, named by its number.
pub fn start_instance(
    options: &Options,
    number: usize,
    engine: impl FnOnce(Introduction) -> Result<Arc<dyn Engine>, String>,
) -> Arc<dyn Backplane> {
    let name = format!("instance-{number}");
    let config = ReplicatedConfig {
        instance_id: InstanceId::parse(&name).expect("an instance id"),
        rules: options.rules(),
        auth: scumble::config::AuthMode::None,
        wait_replicas: options.wait_replicas,
        fail_points: Vec::new(),
    };
    let runtime = Handle::current();
    let (backplane, work) = runtime
        .block_on(ReplicatedBackplane::start(config, engine))
        .expect("the instance starts");
    runtime.spawn(work);
    backplane
}

/// The same over one that does all that an engine may.
pub struct Troubled(Replicated);

impl Cluster for Troubled {
    const INSTANCES: usize = 3;
    const READS_WHAT_IT_HEARD: bool = true;

    fn start(options: &Options) -> Self {
        let replicated = Replicated::start(options);
        replicated.engine.set_trouble(Trouble {
            double: 100,
            delay: 100,
            lose: 0,
            forget: 0,
        });
        Self(replicated)
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.0.add()
    }
}

/// Links break all the time, with answers and messages that are lost. An instance that lags too far begins anew, so
/// only what is over before that can be is played here.
pub struct Breaking(Replicated);

impl Cluster for Breaking {
    const INSTANCES: usize = 3;
    const READS_WHAT_IT_HEARD: bool = true;

    fn start(options: &Options) -> Self {
        let replicated = Replicated::start(options);
        replicated.engine.set_trouble(Trouble {
            double: 20,
            delay: 20,
            lose: 10,
            forget: 20,
        });
        Self(replicated)
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.0.add()
    }
}

mod whole {
    suite!(crate::replicated::Replicated);
    suite_across!(crate::replicated::Replicated);
}

mod troubled {
    suite!(crate::replicated::Troubled);
    suite_across!(crate::replicated::Troubled);
}

mod breaking {
    tests! { crate::replicated::Breaking;
        order: all_instances_see_one_contiguous_order an_authors_entries_keep_their_order
            canvases_are_numbered_apart a_frame_says_what_was_sent
            every_entry_is_delivered_or_answered_once what_is_delivered_is_committed;
        state: objects_follow_their_messages;
    }
}

/// Keeps where its place was lost.
#[derive(Default)]
struct LostPlaces(Mutex<Vec<Position>>);

impl Sink for LostPlaces {
    fn deliver(&self, delivery: Delivery) {
        if let Delivery::PlaceLost { at, .. } = delivery {
            self.0.lock().push(at);
        }
    }
}

/// A deletion lets go of the whole log. Whoever was cut off meanwhile notices, though nothing more happens on the canvas.
#[test]
fn whoever_was_cut_off_while_the_log_was_let_go_begins_anew() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _guard = runtime.enter();
    let mut relay = Replicated::start(&Options::default());
    let (one, two) = (relay.add(), relay.add());
    let board = CanvasId::parse("board").expect("a name");
    let places = Arc::new(LostPlaces::default());
    let open = |backplane: &Arc<dyn Backplane>, sink: Arc<LostPlaces>| {
        let opened = runtime.block_on(backplane.open(&board, sink));
        opened.expect("it opens").canvas
    };
    let here = open(&one, Arc::default());
    let there = open(&two, places.clone());
    relay.engine.cut_off("instance-2", true);
    let head = runtime.block_on(one.delete(&here)).expect("a deletion");
    relay.engine.cut_off("instance-2", false);
    let lost = eventually("its place is lost", || places.0.lock().first().copied());
    assert_eq!(lost, head);
    let snapshot = runtime.block_on(two.snapshot(&there)).expect("a snapshot");
    assert_eq!(snapshot.at, head);
    runtime.block_on(async { tokio::join!(one.shutdown(), two.shutdown()) });
}
