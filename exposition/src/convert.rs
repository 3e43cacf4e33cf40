//! Native histograms with custom buckets, made of classic ones.

use crate::{Histogram, Span};

/// Why a classic histogram cannot become a native one.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(crate) enum ConvertError {
    #[error("a bucket with the bound NaN")]
    NanBound,
    #[error("a negative count: {0}")]
    Negative(f64),
    #[error("the counts of its buckets go down")]
    NotCumulative,
    #[error("the count {count} is not that of the last bucket, {last}")]
    Count { count: f64, last: f64 },
}

/// Collects what a classic histogram has.
#[derive(Debug, Default)]
pub(crate) struct ClassicHistogram {
    /// Upper bounds and cumulative counts, by bound.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
    fault: Option<ConvertError>,
}

impl ClassicHistogram {
    pub(crate) fn set_count(&mut self, count: f64) {
        if count < 0.0 {
            self.fault.get_or_insert(ConvertError::Negative(count));
        }
        self.count = Some(count);
    }

    pub(crate) fn set_sum(&mut self, sum: f64) {
        self.sum = sum;
    }

    /// Of two buckets with the same bound the first stays.
    pub(crate) fn set_bucket(&mut self, bound: f64, count: f64) {
        if bound.is_nan() {
            self.fault.get_or_insert(ConvertError::NanBound);
            return;
        }
        if count < 0.0 {
            self.fault.get_or_insert(ConvertError::Negative(count));
            return;
        }
        let at = self.buckets.partition_point(|(known, _)| *known < bound);
        if self.buckets.get(at).is_some_and(|(known, _)| *known == bound) {
            return;
        }
        let is_below = at > 0 && count < self.buckets[at - 1].1;
        if is_below || self.buckets.get(at).is_some_and(|(_, next)| count > *next) {
            self.fault.get_or_insert(ConvertError::NotCumulative);
            return;
        }
        self.buckets.insert(at, (bound, count));
    }

    /// Writes the native histogram. Without a count it has that of the last bucket.
    pub(crate) fn convert(mut self, out: &mut Histogram) -> Result<(), ConvertError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let count = self.count.unwrap_or_else(|| self.buckets.last().map_or(0.0, |(_, count)| *count));
        if self.buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let last = self.buckets[self.buckets.len() - 1].1;
        if count != last {
            return Err(ConvertError::Count { count, last });
        }
        // NaN is not whole either.
        let is_float = self.buckets.iter().any(|(_, count)| count.fract() != 0.0);
        let length = u32::try_from(self.buckets.len()).unwrap_or(u32::MAX);
        *out = Histogram {
            is_float,
            schema: Histogram::CUSTOM,
            sum: self.sum,
            count,
            positive_spans: vec![Span { offset: 0, length }],
            custom_values: self.buckets[..self.buckets.len() - 1].iter().map(|(bound, _)| *bound).collect(),
            ..Histogram::default()
        };
        let (mut before, mut last) = (0.0, 0.0);
        for (_, cumulative) in &self.buckets {
            let count = cumulative - before;
            out.positive_buckets.push(if is_float { count } else { count - last });
            (before, last) = (*cumulative, count);
        }
        out.compact(if is_float { 0 } else { 2 });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(count: Option<f64>, buckets: &[(f64, f64)]) -> Result<Histogram, ConvertError> {
        let mut classic = ClassicHistogram::default();
        buckets.iter().for_each(|(bound, count)| classic.set_bucket(*bound, *count));
        count.into_iter().for_each(|count| classic.set_count(count));
        classic.set_sum(12.5);
        let mut histogram = Histogram::default();
        classic.convert(&mut histogram).map(|()| histogram)
    }

    #[test]
    fn whole_counts_become_deltas_of_custom_buckets() {
        let histogram = converted(Some(10.0), &[(1.0, 4.0), (0.5, 1.0), (2.0, 4.0)]).unwrap();
        assert_eq!(histogram.custom_values, [0.5, 1.0, 2.0]);
        assert_eq!(histogram.positive_spans, [Span { offset: 0, length: 4 }]);
        assert_eq!(histogram.positive_buckets, [1.0, 2.0, -3.0, 6.0]);
        assert_eq!((histogram.is_float, histogram.count, histogram.sum), (false, 10.0, 12.5));
        assert_eq!(histogram.validate(), Ok(()));
    }

    #[test]
    fn fractions_make_a_float_histogram_without_empty_buckets() {
        let histogram = converted(None, &[(1.0, 0.0), (2.0, 1.5), (3.0, 1.5), (f64::INFINITY, 4.0)]).unwrap();
        assert!(histogram.is_float);
        assert_eq!(histogram.positive_spans, [Span { offset: 1, length: 1 }, Span { offset: 1, length: 1 }]);
        assert_eq!(histogram.positive_buckets, [1.5, 2.5]);
        assert_eq!(histogram.validate(), Ok(()));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (count, buckets) in [
            (Some(5.0), vec![(f64::INFINITY, 4.0)]),
            (Some(-1.0), vec![]),
            (None, vec![(1.0, 3.0), (2.0, 2.0)]),
            (None, vec![(2.0, 2.0), (1.0, 3.0)]),
            (None, vec![(f64::NAN, 1.0)]),
            (None, vec![(1.0, -1.0)]),
        ] {
            assert!(converted(count, &buckets).is_err(), "{count:?} {buckets:?}");
        }
    }
}
