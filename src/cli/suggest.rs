//! What somebody may have meant.

/// Suggestions made at most.
const MOST: usize = 3;

/// The names nearest to `word`, nearest first; none if all are far.
pub fn suggestions<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let word = word.to_ascii_lowercase();
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let within = word.len() >= 4 && name.contains(&word);
            let distance = if within { 1 } else { distance(&word, name) };
            (distance <= name.len() / 3).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// Insertions, deletions and replacements that make one word the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn near_names_and_parts_of_names() {
        let names = ["calloc-zero", "calloc-wrap", "free-null"];
        assert_eq!(
            suggestions("caloc-zero", names.into_iter()),
            ["calloc-zero"]
        );
        assert_eq!(suggestions("wrap", names.into_iter()), ["calloc-wrap"]);
        assert!(suggestions("entirely-else", names.into_iter()).is_empty());
    }
}
