//! Pages of lists: what comes behind the last item of the page before, in order, out of items that come in any.

use std::{cmp::Ordering, collections::BTreeMap};

use tonic::Status;

use super::text;

/// Most items of a page, and how many there are unless told.
pub(super) const MAX: usize = 1000;

/// A page while it is gathered. It never holds more than its items and one.
pub(super) struct Page<K, V> {
    size: usize,
    after: Option<K>,
    items: BTreeMap<K, V>,
}

impl<K: Ord + Clone, V> Page<K, V> {
    /// As it was asked for; `read` makes a key of a token.
    pub fn asked(size: u32, token: &str, read: impl FnOnce(&str) -> Option<K>) -> Result<Page<K, V>, Status> {
        let (size, after) = size_and_token(size, token, read)?;
        Ok(Page { size, after, items: BTreeMap::new() })
    }

    /// Whether an item belongs to the page as far as is known; `compare` says how it is to another.
    pub fn wants(&self, compare: impl Fn(&K) -> Ordering) -> bool {
        let behind = self.after.as_ref().is_none_or(|after| compare(after) == Ordering::Greater);
        let full = self.items.len() > self.size;
        let before =
            || self.items.last_key_value().is_none_or(|(last, _)| !full || compare(last) == Ordering::Less);
        behind && before()
    }

    /// Adds an item, if it is wanted.
    pub fn add(&mut self, key: K, value: V) {
        if self.wants(|other| key.cmp(other)) {
            self.items.insert(key, value);
            if self.items.len() > self.size + 1 {
                self.items.pop_last();
            }
        }
    }

    /// The items in order, and behind which the next page begins, if there is one.
    pub fn finish(mut self) -> (Vec<V>, Option<K>) {
        let more = self.items.len() > self.size;
        if more {
            self.items.pop_last();
        }
        let next = self.items.last_key_value().filter(|_| more).map(|(key, _)| key.clone());
        (self.items.into_values().collect(), next)
    }
}

/// How large a page is to be, and behind which item it begins.
pub(super) fn size_and_token<K>(
    size: u32,
    token: &str,
    read: impl FnOnce(&str) -> Option<K>,
) -> Result<(usize, Option<K>), Status> {
    let size = match size as usize {
        0 => MAX,
        size @ 1..=MAX => size,
        size => {
            let text = format!("{size} is more than {MAX}; ask for the rest with page_token");
            return Err(text::invalid("page_size", text));
        }
    };
    let after = match token {
        "" => None,
        token => Some(read(token).ok_or_else(|| {
            let text =
                format!("`{token}` is not the next_page_token of an answer; leave it out for the first page");
            text::invalid("page_token", text)
        })?),
    };
    Ok((size, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_ordered_whole_and_end() {
        let mut token = String::new();
        let mut all = Vec::new();
        loop {
            let mut page = Page::asked(3, &token, |text| text.parse::<u32>().ok()).unwrap();
            for n in [5, 1, 9, 7, 3, 8, 2, 5, 6] {
                page.add(n, n);
            }
            let (items, next) = page.finish();
            assert!(items.len() <= 3);
            all.extend(items);
            match next {
                Some(next) => token = next.to_string(),
                None => break,
            }
        }
        assert_eq!(all, [1, 2, 3, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_is_asked_must_be_possible() {
        let asked = |size, token: &str| Page::<u32, ()>::asked(size, token, |text| text.parse().ok());
        assert!(asked(0, "").is_ok() && asked(1000, "7").is_ok());
        assert!(asked(1001, "").err().unwrap().message().starts_with("page_size: 1001 is more than 1000"));
        assert!(asked(1, "x").err().unwrap().message().starts_with("page_token: `x`"));
    }
}
