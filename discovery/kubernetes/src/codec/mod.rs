//! Objects as compact bytes: what a store keeps of each. What repeats among objects stands once in an [`Interner`], and
//! identifiers, addresses and hashes take no more than their bits.

mod interner;
mod read;
mod text;
mod write;

pub(crate) use interner::Interner;
pub(crate) use read::In;
pub(crate) use text::Str;
pub(crate) use write::Out;

/// What can be a part of a record.
///
/// `take` reads what `put` wrote, with the same interner behind it. It returns `None` only for bytes that `put` did not write.
pub(crate) trait Field<'a>: Sized {
    /// Appends it.
    fn put(&self, out: &mut Out<'_>);

    /// Reads it back.
    fn take(from: &mut In<'a>) -> Option<Self>;
}

impl<'a> Field<'a> for Str<'a> {
    fn put(&self, out: &mut Out<'_>) {
        out.text(self);
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        from.text()
    }
}

impl<'a> Field<'a> for bool {
    fn put(&self, out: &mut Out<'_>) {
        out.number(u64::from(*self));
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        Some(from.number()? != 0)
    }
}

impl<'a> Field<'a> for u32 {
    fn put(&self, out: &mut Out<'_>) {
        out.number(u64::from(*self));
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        u32::try_from(from.number()?).ok()
    }
}

impl<'a, T: Field<'a>> Field<'a> for Option<T> {
    fn put(&self, out: &mut Out<'_>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        match bool::take(from)? {
            true => T::take(from).map(Some),
            false => Some(None),
        }
    }
}

impl<'a, T: Field<'a>> Field<'a> for Vec<T> {
    fn put(&self, out: &mut Out<'_>) {
        out.number(self.len() as u64);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        let count = from.number()?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<'a, A: Field<'a>, B: Field<'a>> Field<'a> for (A, B) {
    fn put(&self, out: &mut Out<'_>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut In<'a>) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

/// Implements [`Field`] for a struct: all its fields, one after the other.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl<'a> $crate::codec::Field<'a> for $name<'a> {
            fn put(&self, out: &mut $crate::codec::Out<'_>) {
                let Self { $($field),* } = self;
                $( $crate::codec::Field::put($field, out); )*
            }

            fn take(from: &mut $crate::codec::In<'a>) -> Option<Self> {
                Some(Self { $($field: $crate::codec::Field::take(from)?),* })
            }
        }
    };
}
pub(crate) use fields;

#[cfg(test)]
mod tests;
