//! The HTML report in a real browser: it works, says nothing on the console, and asks the network for nothing.
//!
//! Chromium loads a copy of the page to which a script was added that does what a reader does, and writes what it saw
//! into the title; the log of its network stack tells every request.

use crate::room::{Room, skip};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a reader does, and what must come of it.
const READER: &str = r#"<script>
const wrong = [];
const expect = (what, is) => { if (!is) wrong.push(what); };
const shown = () => [...document.querySelectorAll("tr.rule:not([hidden])")];
const choose = (name, value) => {
  const field = document.querySelector(`.filter [name=${name}]`);
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
};
addEventListener("load", async () => {
  const all = shown().length;
  expect("there are rules", all > 30);
  expect("the filter is there", !document.querySelector(".filter").hidden);
  choose("verdict", "fail");
  expect("one rule failed", shown().length >= 1 && shown().length < all);
  expect("it is the broken one", shown().some((row) => row.querySelector("code").textContent === "realloc-fail-keeps"));
  choose("verdict", "");
  choose("text", "calloc wrap");
  expect("words narrow", shown().length >= 1 && shown().length < all);
  choose("text", "");
  choose("level", "quality");
  expect("levels narrow", shown().length >= 1 && shown().every((row) => row.dataset.level === "quality"));
  choose("level", "");
  choose("profile", "c99");
  expect("profiles narrow", shown().length >= 1 && shown().length < all);
  choose("profile", "");
  expect("all are back", shown().length === all);

  const finding = document.getElementById("s0-realloc-fail-keeps");
  expect("findings are closed", !finding.closest("details").open);
  document.querySelector("td.fail a[href='#s0-realloc-fail-keeps']").click();
  await new Promise((done) => setTimeout(done, 200));
  expect("a finding opens", finding.closest("details").open && finding.getBoundingClientRect().height > 100);
  expect("it has a heap map", finding.querySelectorAll("svg rect").length >= 2);
  expect("it has a C program", finding.textContent.includes("int main(void)"));
  expect("it can be copied", finding.querySelectorAll("button.copy").length >= 4);
  expect("nothing sticks out", document.documentElement.scrollWidth <= innerWidth);
  document.title = wrong.length ? "wrong: " + wrong.join("; ") : "all is well";
});
</script>"#;

/// Whether what the pictures say has room in them.
const WORDS: &str = r#"<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  const cut = [...document.querySelectorAll(".heap svg text")].filter((text) => {
    const [letters, picture] = [text, text.ownerSVGElement].map((of) => of.getBoundingClientRect());
    return letters.left < picture.left - 1 || letters.right > picture.right + 1;
  });
  const told = document.querySelector(".heap svg text.what");
  document.title = !told ? "wrong: nothing is told" : cut.length ? "wrong: cut off: " + cut[0].textContent : "all is well";
});
</script>"#;

fn browser() -> Option<PathBuf> {
    let found = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
    let found = found.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        skip("chromium is not installed; ci/setup installs it");
    }
    found
}

/// What Chromium made of a page: the page afterwards, what stood on the console, and the addresses it asked for.
struct Seen {
    page: String,
    console: Vec<String>,
    requests: Vec<String>,
}

fn load(room: &Room, browser: &Path, page: &Path, width: u32) -> Seen {
    let log = room.path(format!("net-{width}.json"));
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
        ])
        .args([
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args([
            "--enable-logging=stderr",
            "--virtual-time-budget=5000",
            "--dump-dom",
        ])
        .arg(format!("--window-size={width},900"))
        .arg(format!(
            "--user-data-dir={}",
            room.path(format!("profile-{width}")).display()
        ))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("Chromium starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let log = fs::read_to_string(log).expect("Chromium wrote its log");
    Seen {
        page: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: said
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .map(str::to_owned)
            .collect(),
        requests: requests(&log),
    }
}

/// The addresses that a page asked for, beside files; what the browser wants for itself has no origin.
fn requests(log: &str) -> Vec<String> {
    // A browser that is ended early leaves its list open.
    let closed = format!("{}]}}", log.trim_end().trim_end_matches(','));
    let log: Value = serde_json::from_str(log)
        .or_else(|_| serde_json::from_str(&closed))
        .expect("the log is JSON");
    let events = log["events"].as_array().expect("the log has events");
    events
        .iter()
        .map(|event| &event["params"])
        .filter(|asked| {
            asked["initiator"]
                .as_str()
                .is_some_and(|by| by != "not an origin")
        })
        .filter_map(|asked| asked["url"].as_str())
        .filter(|url| url.starts_with("http") || url.starts_with("ws"))
        .map(str::to_owned)
        .collect()
}

/// Writes the page of a check that finds something.
fn write_page(room: &Room, library: &Path, page: &Path) {
    let mut command = room.command(&["check"]);
    command.arg(library).args(["--time", "2s", "--format"]);
    command.arg(format!("html={}", page.display()));
    command.arg("--out").arg(room.path("findings"));
    assert_eq!(room.run(command).status, Some(1));
}

/// Asserts what a script finds of a page, on a desktop and on a phone, and that the page is silent.
fn assert_well(room: &Room, browser: &Path, page: &Path, script: &str) {
    let text = fs::read_to_string(page).expect("the page was written");
    let read = room.path("read.html");
    fs::write(&read, text.replace("</body>", &format!("{script}</body>"))).expect("a file");
    for width in [1200, 500] {
        let seen = load(room, browser, &read, width);
        assert!(
            seen.page.contains("<title>all is well</title>"),
            "{width}: {}",
            seen.page
                .lines()
                .find(|line| line.contains("<title>"))
                .unwrap_or_default()
        );
        assert_eq!(seen.console, Vec::<String>::new());
        assert_eq!(seen.requests, Vec::<String>::new());
    }
}

#[test]
fn what_pictures_say_has_room() {
    let room = Room::new();
    let Some(browser) = browser() else {
        return;
    };
    let Some(library) = room.compile("faulty/valloc_unaligned") else {
        return;
    };
    let page = room.path("report.html");
    write_page(&room, &library, &page);
    assert_well(&room, &browser, &page, WORDS);
}

#[test]
fn the_page_works_and_asks_the_network_for_nothing() {
    let room = Room::new();
    let Some(browser) = browser() else {
        return;
    };
    let Some(library) = room.compile("faulty/realloc_frees_on_failure") else {
        return;
    };
    let page = room.path("report.html");
    write_page(&room, &library, &page);
    assert_well(&room, &browser, &page, READER);

    // Neither would be empty if there were something to be seen.
    let noisy = room.path("noisy.html");
    let noise = "<script>console.error('heard')</script><img src='http://127.0.0.1:9/x.png'>";
    fs::write(&noisy, format!("<!DOCTYPE html><title>x</title>{noise}")).expect("a file");
    let seen = load(&room, &browser, &noisy, 800);
    assert!(
        seen.console.iter().any(|line| line.contains("heard")),
        "{:?}",
        seen.console
    );
    assert!(
        seen.requests.iter().any(|url| url.contains("127.0.0.1:9")),
        "{:?}",
        seen.requests
    );
}
