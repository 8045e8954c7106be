//! Which version has which layout.

use crate::pymalloc::*;

#[test]
fn versions_have_the_layouts_they_had() {
    for (version, layout, nothing) in [
        ("2.5", "p27old", Nothing::OneByte),
        ("2.7.6", "p27old", Nothing::OneByte),
        ("2.7.7", "p4k8", Nothing::OneByte),
        ("2.7.16", "p4k8", Nothing::OneByte),
        ("2.7.17", "p4k16", Nothing::OneByte),
        ("2.7", "p4k16", Nothing::OneByte),
        ("3.2", "p27old", Nothing::OneByte),
        ("3.3", "p4k8", Nothing::OneByte),
        ("3.4", "p4k8", Nothing::ResizedToOne),
        ("3.6.15", "p4k8", Nothing::ResizedToOne),
        ("3.6+p4k16", "p4k16", Nothing::ResizedToOne),
        ("3.7.3", "p4k8", Nothing::AsItIs),
        ("3.7.4", "p4k16", Nothing::AsItIs),
        ("3.8", "p4k16", Nothing::AsItIs),
        ("3.9.18", "p4k16k1", Nothing::AsItIs),
        ("3.10", "p16k-r48", Nothing::AsItIs),
        ("3.11.7", "p16k-r64", Nothing::AsItIs),
        ("3.15", "p16k-r64", Nothing::AsItIs),
        ("3.12+p4k16-noradix", "p4k16-noradix", Nothing::AsItIs),
        ("p4k8", "p4k8", Nothing::AsItIs),
        ("p16k-huge", "p16k-huge", Nothing::AsItIs),
    ] {
        let edition: Edition = version.parse().unwrap();
        assert_eq!(edition.build.layout(), layout, "{version}");
        assert_eq!(edition.geometry().nothing, nothing, "{version}");
    }
}

#[test]
fn a_layout_stands_for_its_newest_version() {
    for (layout, version) in [
        ("p27old", "2.7.6"),
        ("p4k8", "3.7.3"),
        ("p4k16", "3.8"),
        ("p16k-huge", "3.15"),
    ] {
        let edition: Edition = layout.parse().unwrap();
        assert_eq!(edition.version.to_string(), version);
    }
}

#[test]
fn an_edition_is_read_from_what_it_is_written_as() {
    for &build in Build::ALL {
        for version in [build.newest(), Version(3, 12, 1)] {
            let edition = Edition { version, build };
            // Builds of another time do not go with the version.
            if version.build().map(|usual| usual.geometry().nothing)
                == Some(build.geometry().nothing)
            {
                assert_eq!(edition.to_string().parse(), Ok(edition), "{edition}");
            }
        }
    }
    assert_eq!(Edition::USUAL.to_string(), "3.14");
}

#[test]
fn what_is_no_edition_is_refused() {
    for text in [
        "",
        "3",
        "2.4",
        "3.16",
        "4.0",
        "3.x",
        "3.9.",
        "3.9.1.2",
        "+3.9",
        "3.+9",
        "3.9+p4k8x",
        "2.7+p16k-r64",
        "p16k",
    ] {
        assert!(text.parse::<Edition>().is_err(), "{text}");
    }
    let error = "p16k".parse::<Edition>().unwrap_err().to_string();
    assert!(
        error.contains("\"p16k\"") && error.contains("p16k-r48"),
        "{error}"
    );
}
