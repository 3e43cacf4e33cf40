//! Small charts: a line without axes, what it begins, peaks and ends with, and a text for those who do not see it. Pure.

use super::super::words::grouped;

/// The height and the width of the space that a line has; it is drawn as wide as there is room.
const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 32.0;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chart {
    /// The `d` of an SVG path.
    pub(super) line: String,
    /// The first value, the highest and the last.
    pub(super) first: String,
    pub(super) highest: String,
    pub(super) last: String,
    /// What it shows.
    pub(super) words: String,
}

impl Chart {
    /// Of values at equal distances, in so many points at most; none where there is nothing to compare.
    pub(super) fn of(what: &str, values: &[u64], most: usize) -> Option<Self> {
        let (first, last, highest) = (*values.first()?, *values.last()?, *values.iter().max()?);
        if values.len() < 2 {
            return None;
        }
        let points = thinned(values, most);
        let (lowest, spread) = (*points.iter().min()?, points.iter().max()? - points.iter().min()?);
        let step = WIDTH / (points.len() - 1) as f64;
        let mut line = String::new();
        for (index, value) in points.iter().enumerate() {
            let share = if spread == 0 { 0.5 } else { (value - lowest) as f64 / spread as f64 };
            let letter = if index == 0 { 'M' } else { 'L' };
            line.push_str(&format!("{letter}{:.1} {:.1}", index as f64 * step, 2.0 + (1.0 - share) * HEIGHT));
        }
        let [first, highest, last] = [first, highest, last].map(grouped);
        let words = format!("{what}: {first} at first, at most {highest}, {last} now");
        Some(Self { line, first, highest, last, words })
    }
}

/// The highest of each of so many stretches of equal length, and the last value as it is.
fn thinned(values: &[u64], most: usize) -> Vec<u64> {
    let stretch = values.len().div_ceil(most.max(2));
    let mut points: Vec<_> = values.chunks(stretch).filter_map(|stretch| stretch.iter().max().copied()).collect();
    if let (Some(point), Some(last)) = (points.last_mut(), values.last()) {
        *point = *last;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_begins_peaks_and_ends_with_its_values() {
        let chart = Chart::of("Targets", &[10, 30, 20], 120).unwrap();
        assert_eq!(chart.line, "M0.0 34.0L100.0 2.0L200.0 18.0");
        assert_eq!(chart.words, "Targets: 10 at first, at most 30, 20 now");
        assert_eq!(Chart::of("x", &[5, 5], 120).unwrap().line, "M0.0 18.0L200.0 18.0");
        assert_eq!((Chart::of("x", &[], 120), Chart::of("x", &[5], 120)), (None, None));
    }

    #[test]
    fn a_long_chart_keeps_its_peaks() {
        let mut values = vec![1; 1440];
        values[700] = 9;
        let points = thinned(&values, 120);
        assert_eq!((points.len(), points.iter().filter(|point| **point == 9).count()), (120, 1));
        assert_eq!(thinned(&[1, 2, 3, 0], 2), [2, 0]);
    }
}
