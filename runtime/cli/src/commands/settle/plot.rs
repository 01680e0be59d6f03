//! Plots as SVG within a page: bars, a histogram, and one bar in parts.
//!
//! Geometry is in whole pixels by integer arithmetic, so that a page has the same bytes everywhere.
//! Colours and fonts come from the page's style, by class. Every plot says in words what it shows.

use super::words;
use dataforge_core::units::MicroNats;

const WIDTH: u64 = 720;

/// What stands above a plot, and what is read to those who cannot see it.
pub(super) struct Caption<'a> {
    /// Names the plot within the page: letters alone.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

/// One bar of several.
pub(super) struct Bar {
    pub(super) label: String,
    /// Shown where the pointer rests.
    pub(super) whole_label: String,
    pub(super) length: u64,
    /// What stands behind the bar.
    pub(super) shown: String,
    pub(super) class: &'static str,
}

/// Text that cannot be mistaken for markup.
pub(in crate::commands) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

fn svg(caption: &Caption<'_>, height: u64, inside: &str) -> String {
    let Caption { id, title, description } = caption;
    let (title, description) = (escape(title), escape(description));
    format!(
        "<div class=\"scroll\">\n<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\">\n\
         <title id=\"{id}-t\">{title}</title>\n<desc id=\"{id}-d\">{description}</desc>\n\
         {inside}</svg></div>\n"
    )
}

fn scaled(part: u64, whole: u64, length: u64) -> u64 {
    let part = u128::from(part) * u128::from(length) / u128::from(whole.max(1));
    u64::try_from(part).unwrap_or(length).min(length)
}

/// Bars from left to right, one below the other; `whole` is as long as there is room. Each tick is
/// a length with its name.
pub(super) fn bars(
    caption: &Caption<'_>,
    bars: &[Bar],
    whole: u64,
    ticks: &[(u64, &str)],
) -> String {
    const ROW: u64 = 26;
    const LEFT: u64 = 84;
    const ROOM: u64 = 440;
    let base = ROW * bars.len() as u64 + 4;
    let height = base + if ticks.is_empty() { 0 } else { 18 };
    let grid = ticks.iter().map(|(length, name)| {
        let (x, below) = (LEFT + scaled(*length, whole, ROOM), base + 14);
        format!(
            "<line class=\"grid\" x1=\"{x}\" y1=\"0\" x2=\"{x}\" y2=\"{base}\"/>\
             <text class=\"dim mid\" x=\"{x}\" y=\"{below}\">{}</text>\n",
            escape(name)
        )
    });
    let row = |(place, bar): (u64, &Bar)| {
        let top = 4 + ROW * place;
        let (base, length) = (top + 13, scaled(bar.length, whole, ROOM));
        // A little is something, and is seen.
        let length = if bar.length > 0 { length.max(2) } else { 0 };
        let end = LEFT + length + 8;
        let Bar { label, whole_label, shown, class, .. } = bar;
        let [label, whole_label, shown] = [label, whole_label, shown].map(|text| escape(text));
        format!(
            "<g><title>{whole_label}: {shown}</title>\
             <text class=\"mono\" x=\"0\" y=\"{base}\">{label}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{top}\" width=\"{length}\" height=\"18\" \
             rx=\"2\"/><text class=\"halo\" x=\"{end}\" y=\"{base}\">{shown}</text></g>\n"
        )
    };
    let rows = (0..).zip(bars).map(row);
    svg(caption, height, &grid.chain(rows).collect::<String>())
}

/// One bar in parts, each with its class; narrow gaps keep alike colours apart.
pub(super) fn parts(caption: &Caption<'_>, parts: &[(&str, u64, &'static str)]) -> String {
    let whole = parts.iter().fold(0u64, |sum, (_, part, _)| sum.saturating_add(*part));
    let mut inside = String::new();
    let mut before = 0u64;
    for (label, part, class) in parts.iter().filter(|(_, part, _)| *part > 0) {
        let from = scaled(before, whole, WIDTH);
        before = before.saturating_add(*part);
        let width = scaled(before, whole, WIDTH).saturating_sub(from).saturating_sub(2).max(1);
        let (label, share) = (escape(label), words::share((*part).into(), whole.into()));
        // Eight pixels a letter, and some around them.
        let text = match width > 8 * (label.len() + share.len()) as u64 + 24 {
            true => {
                format!("<text class=\"on\" x=\"{}\" y=\"25\">{label} {share}</text>", from + 10)
            }
            false => String::new(),
        };
        inside.push_str(&format!(
            "<g><title>{label}: {share}</title><rect class=\"{class}\" x=\"{from}\" y=\"0\" \
             width=\"{width}\" height=\"40\" rx=\"2\"/>{text}</g>\n"
        ));
    }
    svg(caption, 40, &inside)
}

/// Lifts counted in bins of equal width.
pub(super) struct Histogram {
    /// Where the first bin begins, in millionths of a nat; a multiple of the width.
    pub(super) from: i64,
    pub(super) width: i64,
    /// Of each bin: those that are paid, and the others.
    pub(super) bins: Vec<[u64; 2]>,
}

/// Bins that a histogram has at most.
const BINS_MAX: i64 = 24;

impl Histogram {
    /// Bins as narrow as is readable, at round numbers. Nothing of nothing.
    pub(super) fn of(lifts: &[(MicroNats, bool)]) -> Option<Self> {
        let least = lifts.iter().map(|(lift, _)| lift.0).min()?;
        let most = lifts.iter().map(|(lift, _)| lift.0).max()?;
        let width = round_above(most.saturating_sub(least) / (BINS_MAX - 2) + 1);
        let bin = |lift: i64| lift.div_euclid(width);
        let first = bin(least);
        let count = usize::try_from(bin(most) - first + 1).unwrap_or(1);
        let mut bins = vec![[0, 0]; count];
        for (lift, paid) in lifts {
            let place = usize::try_from(bin(lift.0) - first).unwrap_or(0);
            if let Some(bin) = bins.get_mut(place) {
                bin[usize::from(!paid)] += 1;
            }
        }
        Some(Self { from: first.saturating_mul(width), width, bins })
    }

    /// The edges of a bin.
    pub(super) fn edges(&self, place: usize) -> [MicroNats; 2] {
        let place = i64::try_from(place).unwrap_or(0);
        [place, place + 1].map(|at| MicroNats(self.from + self.width * at))
    }

    /// Columns, those paid at the bottom; `margin` is marked where it lies within.
    pub(super) fn plot(&self, caption: &Caption<'_>, margin: Option<MicroNats>) -> String {
        const LEFT: u64 = 34;
        const TOP: u64 = 18;
        const ROOM: u64 = 170;
        const BASE: u64 = TOP + ROOM;
        let count = self.bins.len() as u64;
        let column = (WIDTH - LEFT) / count.max(1);
        let most = self.bins.iter().map(|[paid, others]| paid + others).max().unwrap_or(1);
        // Whole numbers alone: there are no half submissions.
        let step = u64::try_from(round_above(i64::try_from(most.div_ceil(4)).unwrap_or(1)));
        let step = step.unwrap_or(1);
        let ceiling = step * most.div_ceil(step);
        let y = |number: u64| BASE - scaled(number, ceiling, ROOM);
        let mut inside = String::new();
        for number in (0..=ceiling / step).map(|line| line * step) {
            let (y, text) = (y(number), words::grouped(number));
            inside.push_str(&format!(
                "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\"/>\
                 <text class=\"dim end\" x=\"{}\" y=\"{}\">{text}</text>\n",
                LEFT - 6,
                y + 4
            ));
        }
        for (place, [paid, others]) in self.bins.iter().enumerate() {
            let x = LEFT + column * place as u64 + 1;
            let [from, to] = self.edges(place).map(words::brief_nats);
            let (low, high) = (y(*paid), y(paid + others));
            let (width, grey, blue) = (column.saturating_sub(2), low - high, BASE - low);
            inside.push_str(&format!(
                "<g><title>{from} to {to}: {paid} paid, {others} not</title>\
                 <rect class=\"unpaid\" x=\"{x}\" y=\"{high}\" width=\"{width}\" \
                 height=\"{grey}\"/><rect class=\"paid\" x=\"{x}\" y=\"{low}\" width=\"{width}\" \
                 height=\"{blue}\"/></g>\n"
            ));
        }
        // A label has some 60 pixels.
        let every = 60u64.div_ceil(column.max(1)).max(1);
        for tick in (0..=count).filter(|tick| tick.is_multiple_of(every)) {
            let [at, _] = self.edges(usize::try_from(tick).unwrap_or(0)).map(words::brief_nats);
            let (x, y) = (LEFT + column * tick, BASE + 18);
            let class = if tick == count && count > 1 { "dim end" } else { "dim mid" };
            inside.push_str(&format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{at}</text>\n"));
        }
        inside.push_str(&self.marked(margin, column, LEFT, BASE));
        svg(caption, BASE + 26, &inside)
    }

    /// A dashed line where the margin is.
    fn marked(&self, margin: Option<MicroNats>, column: u64, left: u64, base: u64) -> String {
        let offset = margin.and_then(|margin| u64::try_from(margin.0 - self.from).ok());
        let width = u64::try_from(self.width).unwrap_or(1);
        let room = width.saturating_mul(self.bins.len() as u64);
        let Some(offset) = offset.filter(|offset| *offset <= room) else { return String::new() };
        let x = left + scaled(offset, room, column * self.bins.len() as u64);
        // Where there is no room to the right, the words stand to the left.
        let (class, at) = if x > WIDTH - 60 { ("end", x - 5) } else { ("halo", x + 5) };
        format!(
            "<line class=\"mark\" x1=\"{x}\" y1=\"6\" x2=\"{x}\" y2=\"{base}\"/>\
             <text class=\"{class}\" x=\"{at}\" y=\"14\">margin</text>\n"
        )
    }
}

/// The least of 1, 2, 5, 10, 20, … that is not below a number.
fn round_above(number: i64) -> i64 {
    let mut power = 1i64;
    loop {
        for digit in [1, 2, 5] {
            if power.saturating_mul(digit) >= number {
                return power.saturating_mul(digit);
            }
        }
        power = power.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lift_is_in_one_bin_with_round_edges() {
        let lifts = [-11_293_795, -240_393, 605_226, 1_353_148, 1_375_208];
        let lifts: Vec<_> = lifts.map(|lift| (MicroNats(lift), lift > 0)).into();
        let found = Histogram::of(&lifts).unwrap();
        assert_eq!((found.from, found.width, found.bins.len()), (-12_000_000, 1_000_000, 14));
        let sum = found.bins.iter().fold([0, 0], |sum, bin| [sum[0] + bin[0], sum[1] + bin[1]]);
        assert_eq!(sum, [3, 2]);
        assert_eq!(found.bins[13], [2, 0]);
        assert!(Histogram::of(&[]).is_none());
        let one = Histogram::of(&[(MicroNats(0), false)]).unwrap();
        assert_eq!((one.from, one.width, one.bins), (0, 1, vec![[0, 1]]));
    }

    #[test]
    fn the_widest_lifts_do_not_overflow() {
        let most = dataforge_settle::LIFT_MAX;
        let lifts = [(most, true), (MicroNats(-most.0), false)];
        assert!(Histogram::of(&lifts).unwrap().bins.len() <= 24);
    }

    #[test]
    fn markup_in_a_text_is_text() {
        assert_eq!(escape("<a href='&\">"), "&lt;a href=&#39;&amp;&quot;&gt;");
    }
}
