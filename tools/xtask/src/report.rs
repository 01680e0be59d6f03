//! `cargo xtask report`: an epoch's page in a real browser.
//!
//! The golden events are settled, the page is opened without a screen, in light and in dark, and
//! the pictures are looked at as far as a program can: their size, and that the colours of every
//! plot are there. They stay in the build folder for people to look at.

use std::collections::BTreeSet;
use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::sh;

/// Of the window, in pixels: the whole page of the golden epoch.
const SIZE: (u32, u32) = (900, 2_200);

/// Each picture, the browser's setting for it, and colours of the page's style: of miners,
/// validators, the treasury, the rest, and faults.
const PICTURES: &[(&str, &str, [[u8; 3]; 5])] = &[
    (
        "report.png",
        "preferredColorScheme=1",
        [[31, 111, 139], [138, 109, 29], [107, 91, 149], [154, 165, 171], [178, 58, 46]],
    ),
    (
        "report-dark.png",
        "preferredColorScheme=0",
        [[88, 176, 207], [210, 176, 76], [171, 155, 216], [102, 115, 122], [238, 129, 114]],
    ),
];

pub(crate) fn run() -> anyhow::Result<()> {
    let folder = sh::target().join("report");
    let epoch = folder.join("epochs/0");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    fs::create_dir_all(&epoch).with_context(|| epoch.display().to_string())?;
    let golden = sh::root().join("tests/golden/epochs");
    for name in ["rules.toml", "0/events.jsonl"] {
        fs::copy(golden.join(name), folder.join("epochs").join(name)).context(name)?;
    }
    // As the suite builds it, so that nothing is compiled a second time.
    sh::cargo(&["build", "--workspace", "--tests", "--bin", "dataforge", "--locked"], &[])?;
    let program = sh::target().join("debug/dataforge");
    sh::output(Command::new(program).arg("settle").arg(&epoch))?;
    for (name, scheme, colours) in PICTURES {
        let picture = folder.join(name);
        shoot(&epoch.join("report.html"), scheme, &picture)?;
        let found = check(&picture, colours)?;
        eprintln!("{}: {}x{} pixels, {found} colours", picture.display(), SIZE.0, SIZE.1);
    }
    Ok(())
}

/// Opens a page and writes what is seen of it.
fn shoot(page: &Path, scheme: &str, picture: &Path) -> anyhow::Result<()> {
    let mut browser = Command::new("chromium");
    // A container has no sandbox for it to use; the page is our own, and runs nothing.
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    browser.arg(format!("--blink-settings={scheme}"));
    browser.arg(format!("--window-size={},{}", SIZE.0, SIZE.1));
    browser.arg(format!("--screenshot={}", picture.display()));
    browser.arg(format!("file://{}", page.display()));
    sh::output(&mut browser).map(drop).context(
        "the page could not be opened; `apt-get install --no-install-recommends chromium` \
         installs the browser",
    )
}

/// Refuses a picture without these colours; the number of all.
fn check(picture: &Path, colours: &[[u8; 3]]) -> anyhow::Result<usize> {
    let named = || picture.display().to_string();
    let file = fs::File::open(picture).with_context(named)?;
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().with_context(named)?;
    let mut pixels = vec![0; reader.output_buffer_size().context("the picture is too large")?];
    let frame = reader.next_frame(&mut pixels).with_context(named)?;
    let size = (frame.width, frame.height);
    ensure!(size == SIZE, "{} is of {size:?} pixels, not {SIZE:?}", named());
    let channels = frame.color_type.samples();
    let found: BTreeSet<[u8; 3]> = pixels
        .chunks_exact(channels)
        .filter_map(|pixel| pixel.first_chunk::<3>().copied())
        .collect();
    for colour in colours {
        ensure!(found.contains(colour), "{} has nothing in {colour:?}", picture.display());
    }
    Ok(found.len())
}
