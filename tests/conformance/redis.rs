//! The backplane over Redis: several instances, a server of the test's own.

use std::sync::Arc;

use scumble::backplane::Backplane;
use scumble::config::RedisUrl;
use scumble::protocol::ids::InstanceId;
use scumble::redis::{RedisBackplane, RedisConfig};
use tokio::runtime::Handle;

use crate::cluster::{Cluster, Options};
use crate::redis_server::RedisServer;

/// Three instances.
pub struct Redis {
    server: RedisServer,
    options: Options,
    started: usize,
}

impl Cluster for Redis {
    const INSTANCES: usize = 3;
    const READS_WHAT_IT_HEARD: bool = true;

    fn start(options: &Options) -> Self {
        Self {
            server: RedisServer::start(),
            options: options.clone(),
            started: 0,
        }
    }

    fn add(&mut self) -> Arc<dyn Backplane> {
        self.started += 1;
        let name = format!("instance-{}", self.started);
        let config = RedisConfig {
            url: RedisUrl::parse(&self.server.url()).expect("an address"),
            instance_id: InstanceId::parse(&name).expect("an instance id"),
            message_ttl: self.options.message_ttl,
            presence_grace: self.options.presence_grace,
            bounds: self.options.bounds(),
        };
        let runtime = Handle::current();
        let (backplane, work) = runtime
            .block_on(RedisBackplane::start(config))
            .expect("the instance starts");
        runtime.spawn(work);
        backplane
    }
}

mod whole {
    suite!(crate::redis::Redis);
    suite_across!(crate::redis::Redis);
}
