//! The tables of a new file, as SQL. `migrations` brings older files to them.

/// Of canvases and instances.
pub(in crate::sqlite) const CANVASES: &str = include_str!("../../../schema.sql");

/// Of the work queue, and of assets.
pub(in crate::sqlite) const JOBS: &str = concat!(
    include_str!("tables/jobs.sql"),
    include_str!("tables/deliveries.sql"),
    include_str!("tables/assets.sql"),
    include_str!("tables/runs.sql")
);

/// Of hooks.
pub(in crate::sqlite) const HOOKS: &str = concat!(
    include_str!("tables/hooks.sql"),
    include_str!("tables/aside.sql")
);

/// Of the analytics.
pub(in crate::sqlite) const ANALYTICS: &str = include_str!("tables/analytics.sql");
