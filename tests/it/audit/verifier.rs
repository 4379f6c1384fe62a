//! Checks proofs as a third party does: from docs/audit.md and a BLAKE3 library, with the
//! algorithms of RFC 9162 (2.1.3.2 and 2.1.4.2). It shares no code with the program.

use serde_json::Value;

type Hash = [u8; 32];

fn hash(value: &Value) -> Hash {
    *blake3::Hash::from_hex(value.as_str().unwrap()).unwrap().as_bytes()
}

fn path(proof: &Value) -> Vec<Hash> {
    proof["path"].as_array().unwrap().iter().map(hash).collect()
}

pub fn leaf(position: u64, recorded_at_us: i64, hash: &Hash) -> Hash {
    let mut bytes = vec![0];
    bytes.extend(position.to_be_bytes());
    bytes.extend(recorded_at_us.to_be_bytes());
    bytes.extend(hash);
    *blake3::hash(&bytes).as_bytes()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    *blake3::hash(&[&[1], left.as_slice(), right].concat()).as_bytes()
}

/// Whether the proof shows that its event is under `root`.
pub fn includes(proof: &Value, root: &Hash) -> bool {
    let number = |name: &str| proof[name].as_u64().unwrap();
    let time = proof["recorded_at_us"].as_i64().unwrap();
    let mut found = leaf(number("position"), time, &hash(&proof["hash"]));
    let (mut index, mut last) = (number("leaf_index"), number("tree_size") - 1);
    if number("position") != index + 1 || index > last {
        return false;
    }
    for other in path(proof) {
        if last == 0 {
            return false;
        }
        if index % 2 == 1 || index == last {
            found = node(&other, &found);
            while index % 2 == 0 && index != 0 {
                index /= 2;
                last /= 2;
            }
        } else {
            found = node(&found, &other);
        }
        index /= 2;
        last /= 2;
    }
    last == 0 && found == *root
}

/// Whether the proof shows that the log of `first` is the beginning of that of `second`.
pub fn consistent(proof: &Value, first: &Hash, second: &Hash) -> bool {
    let (old, new) =
        (proof["first_size"].as_u64().unwrap(), proof["second_size"].as_u64().unwrap());
    let mut path = path(proof);
    if old == new {
        return path.is_empty() && first == second;
    }
    if old.is_power_of_two() {
        path.insert(0, *first);
    }
    let (mut index, mut last) = (old - 1, new - 1);
    while index % 2 == 1 {
        index /= 2;
        last /= 2;
    }
    let Some((start, rest)) = path.split_first() else { return false };
    let (mut was, mut is) = (*start, *start);
    for other in rest {
        if last == 0 {
            return false;
        }
        if index % 2 == 1 || index == last {
            was = node(other, &was);
            is = node(other, &is);
            while index % 2 == 0 && index != 0 {
                index /= 2;
                last /= 2;
            }
        } else {
            is = node(&is, other);
        }
        index /= 2;
        last /= 2;
    }
    last == 0 && was == *first && is == *second
}
