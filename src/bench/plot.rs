//! The cost of an operation as the heap grows, as a picture.

use super::growth::Point;
use plotters::prelude::*;

const SIZE: (u32, u32) = (760, 420);
const TEXT: &str = "sans-serif";

/// Draws the points as an SVG.
///
/// # Errors
///
/// What the plotting library says.
pub fn plot(points: &[Point]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    draw(points, &mut svg)?;
    Ok(svg)
}

fn draw(points: &[Point], svg: &mut String) -> Result<(), Box<dyn std::error::Error + 'static>> {
    let lives = points.iter().map(|point| f64::from(point.live));
    let (first, last) = lives.fold((f64::MAX, 1.0), |(first, last), live| {
        (live.min(first), live.max(last))
    });
    let most = points
        .iter()
        .map(|point| point.cost.checked)
        .fold(1.0, f64::max);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption("Cost of an operation, 1 to 128 bytes, glibc", (TEXT, 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d((first..last).log_scale(), 0.0..most * 1.1)
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .x_desc("live blocks")
        .y_desc("nanoseconds of processor time")
        .x_label_formatter(&|live| format!("10^{:.0}", live.log10()))
        .light_line_style(WHITE)
        .draw()
        .map_err(|error| failed(&error))?;
    let lines = [
        ("checked", RGBColor(0xb3, 0x1b, 0x1b)),
        ("unchecked", RGBColor(0x1b, 0x5e, 0xb3)),
    ];
    for (name, colour) in lines {
        let line = points.iter().map(|point| {
            let cost = point.cost;
            let value = if name == "checked" {
                cost.checked
            } else {
                cost.unchecked
            };
            (f64::from(point.live), value)
        });
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(2)).point_size(3))
            .map_err(|error| failed(&error))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()
        .map_err(|error| failed(&error))?;
    area.present().map_err(|error| failed(&error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::checking::Cost;

    #[test]
    fn a_plot_has_both_lines_and_their_names() {
        let point = |live, unchecked| Point {
            live,
            cost: Cost {
                unchecked,
                checked: 2.0 * unchecked,
                ratio: 2.0,
            },
        };
        let svg = plot(&[point(100, 20.0), point(1000, 30.0), point(10_000, 60.0)]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert_eq!(
            svg.matches("<polyline").count(),
            svg.matches("<polyline").count().max(2)
        );
        for words in [">\nchecked\n", ">\nunchecked\n", "live blocks"] {
            assert!(svg.contains(words), "{svg}");
        }
    }
}
