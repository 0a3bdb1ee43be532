//! Who is there: the instances of the file, and what becomes of the clients of those that are gone.

pub(in crate::sqlite) mod instances;
pub(in crate::sqlite) mod presence;
