//! The subset of TOML that a configuration needs: comments, `[table]`, `[[array of tables]]` and `key = value` with
//! strings on one line, integers and booleans. Every value remembers its line. No dependency, no recursion.

use super::{ConfigError, Problem};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Boolean(bool),
}

/// A key with its value and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) key: String,
    pub(super) value: Value,
}

/// What stands below one header; the first of a document has no name.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) line: usize,
    pub(super) name: String,
    /// `[[name]]`
    pub(super) array: bool,
    pub(super) entries: Vec<Entry>,
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<Vec<Table>, ConfigError> {
    let mut tables = vec![Table { line: 1, name: String::new(), array: false, entries: Vec::new() }];
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let syntax = |what: &str| ConfigError { line: number, problem: Problem::Syntax(what.to_owned()) };
        let mut rest = line.trim();
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        if let Some(header) = rest.strip_prefix('[') {
            let (array, header) = match header.strip_prefix('[') {
                Some(header) => (true, header),
                None => (false, header),
            };
            let close = if array { "]]" } else { "]" };
            let (name, after) =
                header.split_once(close).ok_or_else(|| syntax("a table header without its end"))?;
            end_of_line(after).ok_or_else(|| syntax("something after a table header"))?;
            let name = name.trim();
            if !is_bare(name) {
                return Err(syntax("a table's name may have letters, digits, `-` and `_`"));
            }
            if tables.iter().any(|table| table.name == name && !(array && table.array)) {
                return Err(ConfigError { line: number, problem: Problem::Repeated(format!("[{name}]")) });
            }
            tables.push(Table { line: number, name: name.to_owned(), array, entries: Vec::new() });
            continue;
        }
        let (key, value) =
            rest.split_once('=').ok_or_else(|| syntax("neither `key = value` nor a [table]"))?;
        let key = key.trim();
        if !is_bare(key) {
            return Err(syntax("a key may have letters, digits, `-` and `_`"));
        }
        rest = value.trim_start();
        let (value, after) = value_of(rest).map_err(syntax)?;
        end_of_line(after).ok_or_else(|| syntax("something after the value"))?;
        // A document begins with a nameless table, so there is a last one.
        if let Some(table) = tables.last_mut() {
            if table.entries.iter().any(|entry| entry.key == key) {
                return Err(ConfigError { line: number, problem: Problem::Repeated(format!("`{key}`")) });
            }
            table.entries.push(Entry { line: number, key: key.to_owned(), value });
        }
    }
    Ok(tables)
}

fn is_bare(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
}

/// Nothing but blanks and a comment.
fn end_of_line(rest: &str) -> Option<()> {
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with('#')).then_some(())
}

/// The value at the front of `text`, and what follows it.
fn value_of(text: &str) -> Result<(Value, &str), &'static str> {
    if let Some(literal) = text.strip_prefix('\'') {
        let (value, rest) = literal.split_once('\'').ok_or("a string without its closing '")?;
        return Ok((Value::String(value.to_owned()), rest));
    }
    if let Some(quoted) = text.strip_prefix('"') {
        return basic_string(quoted);
    }
    let end = text.find([' ', '\t', '#']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let value = match word {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        _ => Value::Integer(word.parse().map_err(|_| "the value is no \"string\", integer, true or false")?),
    };
    Ok((value, rest))
}

/// A string up to its closing quote, with the escapes \" \\ \b \t \n \f \r \uXXXX \UXXXXXXXX.
fn basic_string(quoted: &str) -> Result<(Value, &str), &'static str> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        let character = match character {
            '"' => return Ok((Value::String(value), &quoted[at + 1..])),
            '\\' => match characters.next().map(|(_, escape)| escape) {
                Some('"') => '"',
                Some('\\') => '\\',
                Some('b') => '\u{8}',
                Some('t') => '\t',
                Some('n') => '\n',
                Some('f') => '\u{c}',
                Some('r') => '\r',
                Some(escape @ ('u' | 'U')) => {
                    let digits = if escape == 'u' { 4 } else { 8 };
                    let code = (0..digits).try_fold(0u32, |code, _| {
                        let (_, digit) = characters.next()?;
                        Some(code << 4 | digit.to_digit(16)?)
                    });
                    code.and_then(char::from_u32).ok_or("a \\u escape that is no character")?
                }
                _ => return Err("an unknown escape in a string"),
            },
            character => character,
        };
        value.push(character);
    }
    Err("a string without its closing \"")
}
