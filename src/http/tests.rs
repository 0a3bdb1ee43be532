//! The routes, over a backplane that says what it is told to.
