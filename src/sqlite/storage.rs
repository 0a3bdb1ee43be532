//! The file: where it is, who may use it, its tables and statements, its locks and its clock. It knows no thread.

pub mod built;
pub(in crate::sqlite) mod clock;
pub(in crate::sqlite) mod columns;
pub(in crate::sqlite) mod ending;
pub(in crate::sqlite) mod fail_point;
pub(crate) mod files;
pub(in crate::sqlite) mod generation;
pub(in crate::sqlite) mod hosts;
pub(in crate::sqlite) mod locks;
pub(in crate::sqlite) mod migrations;
pub(in crate::sqlite) mod rules;
pub(in crate::sqlite) mod samples;
pub(in crate::sqlite) mod schema;
pub(in crate::sqlite) mod sql;
pub(in crate::sqlite) mod start_error;
pub(in crate::sqlite) mod stopped;
pub(in crate::sqlite) mod store_error;
pub(in crate::sqlite) mod tables;
pub(in crate::sqlite) mod turnstile;
