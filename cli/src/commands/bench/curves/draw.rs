//! Curves as SVG.

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::{Shift, types::RangedCoordf64};
use plotters::prelude::*;
use serde::Serialize;

/// A file with some panels side by side.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Picture {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// One pair of axes. The horizontal one is always logarithmic.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Panel {
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    /// Whether the vertical axis is logarithmic.
    pub(crate) log: bool,
    /// Base of the horizontal one.
    pub(crate) base: f64,
    pub(crate) series: Vec<Series>,
}

/// One curve.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const PANEL: (u32, u32) = (560, 420);
const FONT: &str = "sans-serif";
/// Colours that people who see fewer of them tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(110, 110, 110),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The picture as SVG, with the machine named in it.
pub(crate) fn svg(picture: &Picture, machine: &str) -> Result<String> {
    let mut text = String::new();
    {
        let panels = u32::try_from(picture.panels.len())?;
        let size = (PANEL.0 * panels, PANEL.1 + 56);
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let root = root.titled(picture.title, (FONT, 18)).map_err(failed)?;
        let (body, foot) = root.split_vertically(PANEL.1);
        let style = TextStyle::from((FONT, 12).into_font()).color(&COLOURS[5]);
        foot.draw_text(machine, &style, (12, 4)).map_err(failed)?;
        let areas = body.split_evenly((1, picture.panels.len()));
        for (panel, area) in picture.panels.iter().zip(&areas) {
            draw(panel, area)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(text)
}

fn draw(panel: &Panel, area: &Area<'_>) -> Result<()> {
    let points = || panel.series.iter().flat_map(|s| &s.points);
    let span = |of: fn(&(f64, f64)) -> f64| {
        let low = points().map(of).fold(f64::INFINITY, f64::min);
        (low, points().map(of).fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (low, high)) = (span(|p| p.0), span(|p| p.1));
    anyhow::ensure!(
        left > 0.0 && high.is_finite(),
        "nothing to draw: {}",
        panel.y
    );
    let x = (left * 0.95..right.max(left * 2.0) * 1.05)
        .log_scale()
        .base(panel.base);
    let mut chart = ChartBuilder::on(area);
    chart
        .margin(12)
        .margin_right(28)
        .x_label_area_size(44)
        .y_label_area_size(70);
    if panel.log {
        // Whole decades, and room for the legend.
        let low = 10_f64.powf(low.max(1e-3).log10().floor());
        let high = 10_f64.powf((high.max(low) * 4.0).log10().ceil());
        let y = (low..high).log_scale();
        let chart = chart.build_cartesian_2d(x, y).map_err(failed)?;
        curves(panel, chart)
    } else {
        let y = 0.0..high.max(1e-9) * 1.35;
        let chart = chart.build_cartesian_2d(x, y).map_err(failed)?;
        curves(panel, chart)
    }
}

type Horizontal = plotters::coord::combinators::LogCoord<f64>;

/// What both kinds of vertical axis are to plotters.
trait Vertical: Ranged<ValueType = f64> + ValueFormatter<f64> {}
impl Vertical for RangedCoordf64 {}
impl Vertical for Horizontal {}

fn curves<'a, Y: Vertical>(
    panel: &Panel,
    mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<Horizontal, Y>>,
) -> Result<()> {
    chart
        .configure_mesh()
        .x_desc(panel.x)
        .y_desc(panel.y)
        .axis_desc_style((FONT, 14))
        .label_style((FONT, 12))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .draw()
        .map_err(failed)?;
    for (series, colour) in panel.series.iter().zip(COLOURS.iter().cycle()) {
        let points = || series.points.iter().copied();
        chart
            .draw_series(LineSeries::new(points(), colour.stroke_width(2)))
            .map_err(failed)?
            .label(&series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        let dot = |point| Circle::new(point, 3, colour.filled());
        chart.draw_series(points().map(dot)).map_err(failed)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .label_font((FONT, 12))
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .draw()
        .map_err(failed)
}

/// A number as an axis shows it.
fn short(x: f64) -> String {
    let (value, unit) = match x.abs() {
        a if a >= 1e6 => (x / 1e6, "M"),
        a if a >= 1e3 => (x / 1e3, "k"),
        _ => (x, ""),
    };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text}{unit}")
}

fn failed<E: std::error::Error>(error: E) -> anyhow::Error {
    anyhow!("drawing: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let series = |name: &str, by: f64| Series {
            name: name.to_owned(),
            points: vec![(1.0, by), (10.0, 20.0 * by), (1000.0, 900.0 * by)],
        };
        let panel = |log| Panel {
            x: "clients",
            y: "a second",
            log,
            base: 10.0,
            series: vec![series("native & <bare>", 1.0), series("wasi", 3.0)],
        };
        Picture {
            name: "test",
            title: "A test",
            panels: vec![panel(false), panel(true)],
        }
    }

    #[test]
    fn a_picture_has_its_series_axes_and_machine_and_escapes_their_names() {
        let text = svg(&picture(), "2 cores of <x>").unwrap();
        assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        for part in [
            "native &amp; &lt;bare&gt;",
            "wasi",
            "clients",
            "a second",
            "A test",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(text.contains("2 cores of &lt;x&gt;"));
        assert_eq!(text.matches("<polyline").count() % 2, 0);
        assert_eq!(text.matches("<circle").count(), 12);
    }

    #[test]
    fn numbers_are_shown_short() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(2.5), "2.5");
        assert_eq!(short(1000.0), "1k");
        assert_eq!(short(10_000_000.0), "10M");
    }

    #[test]
    fn a_panel_without_points_is_refused() {
        let mut empty = picture();
        empty.panels[0].series.clear();
        assert!(svg(&empty, "").is_err());
    }
}
