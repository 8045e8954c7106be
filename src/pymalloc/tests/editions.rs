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

/// Whoever built an interpreter may have chosen otherwise than most.
#[test]
fn a_build_is_found_by_its_sizes() {
    for (version, sizes, layout) in [
        (Version(3, 9, 18), (16, 4 << 10, 256 << 10), Some("p4k16k1")),
        (Version(3, 11, 7), (16, 16 << 10, 1 << 20), Some("p16k-r64")),
        (Version(3, 8, 0), (8, 4 << 10, 256 << 10), Some("p4k8")),
        (Version(3, 6, 15), (16, 4 << 10, 256 << 10), Some("p4k16")),
        (
            Version(3, 11, 7),
            (16, 16 << 10, 2 << 20),
            Some("p16k-huge"),
        ),
        (Version(3, 11, 7), (8, 16 << 10, 1 << 20), None),
        (Version(3, 11, 7), (16, 16 << 10, 3 << 20), None),
        (Version(2, 4, 0), (8, 4 << 10, 256 << 10), None),
    ] {
        let build = version.build_with(sizes);
        assert_eq!(build.map(Build::layout), layout, "{version} {sizes:?}");
        if let (Some(build), Some(usual)) = (build, version.build()) {
            let (geometry, usual) = (build.geometry(), usual.geometry());
            assert_eq!((geometry.alignment, geometry.pool, geometry.arena), sizes);
            assert_eq!(geometry.nothing, usual.nothing, "{version} {sizes:?}");
            assert_eq!(geometry.keeps_last, usual.keeps_last, "{version} {sizes:?}");
        }
    }
}

#[test]
fn a_geometry_counts_pools_and_blocks() {
    for (version, pools, of_the_largest) in [
        ("2.7", 64, 7),
        ("3.6", 64, 7),
        ("3.9", 64, 7),
        ("3.11", 64, 31),
    ] {
        let edition: Edition = version.parse().unwrap();
        let geometry = edition.geometry();
        assert_eq!(geometry.pools(), pools, "{version}");
        assert_eq!(geometry.blocks_per_pool(512), of_the_largest, "{version}");
    }
}

#[test]
fn a_geometry_knows_the_nodes_of_its_map() {
    for (version, nodes) in [
        ("3.8", &[][..]),
        ("3.10", &[8192, 2048]),
        ("3.11", &[262_144, 131_072]),
    ] {
        let edition: Edition = version.parse().unwrap();
        let geometry = edition.geometry();
        for size in [0, 1, 2048, 8192, 131_072, 262_144] {
            assert_eq!(
                geometry.is_node(size),
                nodes.contains(&size),
                "{version} {size}"
            );
        }
    }
}
