//! Simulations as one page: everything is in it, nothing is loaded and nothing runs.
//!
//! It is made of the results alone, so the same scenarios are the same page, byte for byte.

use super::{pays, percent, share};
use crate::commands::settle::plot::escape;
use dataforge_core::units::Ppm;
use dataforge_settle::simulate::{AttackLine, Simulation};

const STYLE: &str = include_str!("../settle/page.css");

const OWN_STYLE: &str = "svg .band { fill: var(--a); opacity: 0.22; } \
    svg .line { fill: none; stroke: var(--a); stroke-width: 2; } \
    svg .whisker { stroke: var(--a); stroke-width: 3; }\n";

const INTRODUCTION: &str = "What each attack earns more than honest work with the same stake and \
    hotkeys, costs counted, with the 95 % interval over replications. Beyond the dashed line it \
    pays. What a scenario assumes about costs and replays is in its file.";

const WIDTH: i64 = 720;
const LEFT: i64 = 70;
const RIGHT: i64 = 700;

/// The page of simulations, each with its file.
pub(super) fn of(done: &[(String, Simulation)]) -> String {
    let (with_stake, without): (Vec<_>, Vec<_>) = done
        .iter()
        .partition(|(_, simulation)| simulation.lines.iter().any(|line| line.stake > Ppm(0)));
    let sections: String = with_stake.iter().map(|(file, of)| section(file, of)).collect();
    let lines: Vec<&AttackLine> = without.iter().flat_map(|(_, of)| &of.lines).collect();
    let miners = match lines.is_empty() {
        true => String::new(),
        false => format!(
            "<section>\n<h2>Miners alone</h2>\n{}{}</section>\n",
            whiskers(&lines),
            without.iter().map(|(file, of)| note(file, of)).collect::<String>()
        ),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Attacks, simulated</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>Attacks</h1>\n<p>{INTRODUCTION}</p>\n</header>\n<main>\n\
         {miners}{sections}</main>\n</body>\n</html>\n"
    )
}

fn note(file: &str, of: &Simulation) -> String {
    let [name, about, file] = [&of.name, &of.about, file].map(escape);
    let pays = escape(&pays(of));
    format!("<p><b>{name}</b>: {about} It {pays}. <span class=\"dim\">{file}</span></p>\n")
}

fn section(file: &str, of: &Simulation) -> String {
    format!("<section>\n<h2>{}</h2>\n{}{}</section>\n", escape(&of.name), note(file, of), curve(of))
}

/// From a number within a range to a pixel within another.
fn placed(number: i64, from: [i64; 2], to: [i64; 2]) -> i64 {
    let [low, high] = from.map(i128::from);
    let [start, end] = to.map(i128::from);
    let place = (i128::from(number) - low) * (end - start) / (high - low).max(1) + start;
    i64::try_from(place).unwrap_or(to[0])
}

/// The least range of round numbers that holds all lines and zero.
fn range<'a>(lines: impl Iterator<Item = &'a AttackLine> + Clone) -> [i64; 2] {
    const ROUND: i64 = 50_000;
    let low = lines.clone().map(|line| line.low).min().unwrap_or(0).min(0);
    let high = lines.map(|line| line.high).max().unwrap_or(0).max(0);
    let low = low.div_euclid(ROUND).saturating_mul(ROUND);
    let high = high.div_euclid(ROUND).saturating_add(1).saturating_mul(ROUND);
    [low, high]
}

fn shown(line: &AttackLine) -> String {
    let [over, low, high] = [line.profit_over_honest, line.low, line.high].map(percent);
    format!("{over} ({low} to {high})")
}

/// Profit over honest work by stake, with its interval as a band.
fn curve(of: &Simulation) -> String {
    const TOP: i64 = 10;
    const BASE: i64 = 190;
    let most = of.lines.iter().map(|line| i64::from(line.stake.0)).max().unwrap_or(0);
    let range = range(of.lines.iter());
    let x = |line: &AttackLine| placed(line.stake.0.into(), [0, most], [LEFT, RIGHT]);
    let y = |ppm: i64| placed(ppm, range, [BASE, TOP]);
    let points =
        |value: fn(&AttackLine) -> i64| of.lines.iter().map(move |line| (x(line), y(value(line))));
    let path = |points: Vec<(i64, i64)>| {
        let points = points.iter().map(|(x, y)| format!("{x},{y}"));
        points.collect::<Vec<_>>().join(" ")
    };
    let mut band: Vec<_> = points(|line| line.high).collect();
    band.extend(points(|line| line.low).collect::<Vec<_>>().into_iter().rev());
    let line = path(points(|line| line.profit_over_honest).collect());
    let axis = [range[0], 0, range[1]].map(|ppm| {
        let class = if ppm == 0 { "mark" } else { "grid" };
        let (y, text) = (y(ppm), percent(ppm));
        format!(
            "<line class=\"{class}\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{RIGHT}\" y2=\"{y}\"/>\
             <text class=\"dim end\" x=\"{}\" y=\"{}\">{text}</text>\n",
            LEFT - 6,
            y + 4
        )
    });
    let axis = if range[0] == 0 { axis[1..].concat() } else { axis.concat() };
    let dots: String = of
        .lines
        .iter()
        .map(|line| {
            let (x, y, stake) = (x(line), y(line.profit_over_honest), share(line.stake));
            format!(
                "<g><title>{stake} of the stake: {}</title><circle class=\"a\" cx=\"{x}\" \
                 cy=\"{y}\" r=\"4\"/><text class=\"dim mid\" x=\"{x}\" y=\"{}\">{stake}</text>\
                 </g>\n",
                shown(line),
                BASE + 20
            )
        })
        .collect();
    let title = format!("{}: profit over honest work by share of the stake", escape(&of.name));
    format!(
        "<svg viewBox=\"0 0 {WIDTH} 216\" role=\"img\" aria-label=\"{title}\">\n{axis}\
         <polygon class=\"band\" points=\"{}\"/>\n<polyline class=\"line\" points=\"{line}\"/>\n\
         {dots}</svg>\n",
        path(band)
    )
}

/// One attack below the other, each with its interval.
fn whiskers(lines: &[&AttackLine]) -> String {
    const ROW: i64 = 24;
    const NAMES: i64 = 200;
    let range = range(lines.iter().copied());
    let x = |ppm: i64| placed(ppm, range, [NAMES, RIGHT - 150]);
    let height = ROW * i64::try_from(lines.len()).unwrap_or(0) + 8;
    let zero = x(0);
    let row = |(top, line): (i64, &&AttackLine)| {
        let (base, middle) = (top * ROW + 18, top * ROW + 14);
        let [low, at, high] = [line.low, line.profit_over_honest, line.high].map(x);
        format!(
            "<g><text x=\"0\" y=\"{base}\">{}</text><line class=\"whisker\" x1=\"{low}\" \
             y1=\"{middle}\" x2=\"{high}\" y2=\"{middle}\"/><circle class=\"a\" cx=\"{at}\" \
             cy=\"{middle}\" r=\"4\"/><text class=\"dim end\" x=\"{RIGHT}\" y=\"{base}\">{}</text>\
             </g>\n",
            escape(&line.name),
            percent(line.profit_over_honest)
        )
    };
    let rows: String = (0..).zip(lines).map(row).collect();
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Profit over honest work, \
         of attacks without stake\">\n<line class=\"mark\" x1=\"{zero}\" y1=\"0\" x2=\"{zero}\" \
         y2=\"{height}\"/>\n{rows}</svg>\n"
    )
}
