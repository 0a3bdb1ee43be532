//! Turns a row into columns and back, so that any kind of store can keep it. No store is named here.

/// Where a row's columns go, in their order.
pub(crate) trait Out {
    fn int(&mut self, value: i64);
    fn text(&mut self, value: &str);
    fn blob(&mut self, value: &[u8]);
    fn null(&mut self);
}

/// Where a row's columns come from, in their order. A column of another type gives an empty value, and the store says that it is damaged.
pub(crate) trait In {
    fn int(&mut self) -> i64;
    fn text(&mut self) -> String;
    fn blob(&mut self) -> Vec<u8>;
    /// Whether the next column is empty; if it is, it is passed.
    fn none(&mut self) -> bool;
}

/// What a column can hold.
pub(crate) trait Cell: Sized {
    fn put(&self, out: &mut dyn Out);
    fn take(from: &mut dyn In) -> Self;
}

impl Cell for i64 {
    fn put(&self, out: &mut dyn Out) {
        out.int(*self);
    }
    fn take(from: &mut dyn In) -> Self {
        from.int()
    }
}

impl Cell for bool {
    fn put(&self, out: &mut dyn Out) {
        out.int(i64::from(*self));
    }
    fn take(from: &mut dyn In) -> Self {
        from.int() != 0
    }
}

impl Cell for String {
    fn put(&self, out: &mut dyn Out) {
        out.text(self);
    }
    fn take(from: &mut dyn In) -> Self {
        from.text()
    }
}

impl Cell for Vec<u8> {
    fn put(&self, out: &mut dyn Out) {
        out.blob(self);
    }
    fn take(from: &mut dyn In) -> Self {
        from.blob()
    }
}

impl Cell for [u8; 16] {
    fn put(&self, out: &mut dyn Out) {
        out.blob(self);
    }
    fn take(from: &mut dyn In) -> Self {
        from.blob().try_into().unwrap_or_default()
    }
}

impl<T: Cell> Cell for Option<T> {
    fn put(&self, out: &mut dyn Out) {
        match self {
            Some(value) => value.put(out),
            None => out.null(),
        }
    }
    fn take(from: &mut dyn In) -> Self {
        (!from.none()).then(|| T::take(from))
    }
}

/// A column of a key.
pub(crate) trait Ends: Cell {
    /// The least value.
    fn least() -> Self;
    /// A value that is greater than any that is in use.
    fn beyond() -> Self;
}

impl Ends for i64 {
    fn least() -> Self {
        i64::MIN
    }
    fn beyond() -> Self {
        i64::MAX
    }
}

impl Ends for String {
    fn least() -> Self {
        String::new()
    }
    fn beyond() -> Self {
        char::MAX.to_string()
    }
}

impl Ends for [u8; 16] {
    fn least() -> Self {
        [0; 16]
    }
    fn beyond() -> Self {
        [u8::MAX; 16]
    }
}

/// A table's key: the first columns of its rows.
pub(crate) trait Key: Ord + Clone {
    fn put(&self, out: &mut dyn Out);
    /// The least key.
    fn least() -> Self;
    /// A key behind all that are in use.
    fn beyond() -> Self;
}

macro_rules! keys {
    ($(($($t:ident $i:tt),+))+) => {$(
        impl<$($t: Ends + Ord + Clone),+> Key for ($($t,)+) {
            fn put(&self, out: &mut dyn Out) {
                $(self.$i.put(out);)+
            }
            fn least() -> Self {
                ($($t::least(),)+)
            }
            fn beyond() -> Self {
                ($($t::beyond(),)+)
            }
        }
    )+};
}

keys! { (A 0) (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) }
