//! Ids, written without going through the formatter: each order has a dozen.

/// An id of a letter and at least nine digits.
pub(super) fn push_id(out: &mut String, letter: char, number: u64) {
    out.push(letter);
    push_number(out, "", number, 9);
}

/// Digits with leading zeros up to a width, after a prefix.
pub(super) fn push_number(out: &mut String, prefix: &str, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut at) = (number, 20);
    while rest > 0 || 20 - at < width {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.push_str(prefix);
    out.extend(digits[at..].iter().map(|d| char::from(*d)));
}

/// Twelve hexadecimal digits after a prefix.
pub(super) fn push_hex(out: &mut String, prefix: &str, bits: u64) {
    out.push_str(prefix);
    out.extend((4..16).map(|i| char::from(b"0123456789abcdef"[(bits >> (60 - 4 * i)) as usize & 15])));
}
