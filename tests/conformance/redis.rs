//! The backplane over Redis: several instances, a server of the test's own.

use std::sync::Arc;

use scumble::backplane::Backplane;
use scumble::config::RedisUrl;
use scumble::log::Engine;
use scumble::redis::{Redis as RedisEngine, RedisConfig};

use crate::cluster::{Cluster, Options};
use crate::redis_server::RedisServer;
use crate::replicated::start_instance;

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
        let redis = RedisConfig {
            url: RedisUrl::parse(&self.server.url()).expect("an address"),
            prefix: "scumble".to_owned(),
            tls: scumble::config::RedisTls::default(),
        };
        start_instance(&self.options, self.started, |me| {
            Ok(Arc::new(RedisEngine::new(&redis, me)?) as Arc<dyn Engine>)
        })
    }
}

mod whole {
    suite!(crate::redis::Redis);
    suite_across!(crate::redis::Redis);
}
