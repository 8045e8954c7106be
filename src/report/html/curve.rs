//! The size of a process over time as SVG: a line from measurement to measurement.

use crate::report::document::Series;
use crate::report::words::{amount, count};

/// The units across a picture, and its height.
const WIDTH: u64 = 440;
const HEIGHT: u64 = 120;

/// The picture of what grows.
pub struct Curve {
    pub width: u64,
    pub height: u64,
    /// Corners of the line, as SVG has them.
    pub points: String,
    /// What the least and the greatest height mean.
    pub least: String,
    pub greatest: String,
    pub what: String,
    /// The picture in words.
    pub description: String,
}

impl Curve {
    /// The picture of what grows in a series.
    pub fn of(series: &Series) -> Curve {
        let values = match series.grows {
            "mapped" => &series.mapped,
            _ => &series.resident,
        };
        let least = values.iter().copied().min().unwrap_or(0);
        let greatest = values.iter().copied().max().unwrap_or(0);
        let last = values.len().saturating_sub(1).max(1) as u128;
        let scale = |part: u128, whole: u128, length: u64| {
            (part * u128::from(length) / whole.max(1)).to_string()
        };
        let points = values.iter().enumerate().map(|(index, value)| {
            let x = scale(index as u128, last, WIDTH);
            let y = scale(
                u128::from(greatest - value),
                u128::from(greatest - least),
                HEIGHT,
            );
            format!("{x},{y}")
        });
        let (from, to) = (amount(least), amount(greatest));
        Curve {
            width: WIDTH,
            height: HEIGHT,
            points: points.collect::<Vec<_>>().join(" "),
            what: format!(
                "{} bytes, {}",
                series.grows,
                count(values.len(), "measurement")
            ),
            description: format!("{} bytes rise from {from} to {to}", series.grows),
            least: from,
            greatest: to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_goes_from_the_lower_left_to_the_upper_right() {
        let series = Series {
            grows: "mapped",
            allowed: 1,
            resident: vec![9, 9, 9],
            mapped: vec![1 << 20, 2 << 20, 3 << 20],
        };
        let curve = Curve::of(&series);
        assert_eq!(curve.points, "0,120 220,60 440,0");
        assert_eq!(
            curve.description,
            "mapped bytes rise from 1.0 MiB to 3.0 MiB"
        );
    }

    #[test]
    fn what_does_not_change_is_drawn_as_well() {
        let series = Series {
            grows: "resident",
            allowed: 1,
            resident: vec![7],
            mapped: Vec::new(),
        };
        assert_eq!(Curve::of(&series).points, "0,0");
    }
}
