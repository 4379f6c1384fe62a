//! Just enough English grammar: known verbs, their forms, and whether a noun names people.

use super::item::find_word;

/// Verbs that an instruction may start with, in base form.
const VERBS: &str = "\
    abort accept add adjust aggregate alert allow answer apply approve archive assign attach \
    audit authenticate authorize avoid backup block build bump cache calculate call cancel \
    change check clean clear close collect compare complete compress compute configure confirm \
    connect contain continue convert copy count cover create decrypt define delete deliver deny \
    deploy deprecate detect disable display document download drop edit email emit enable \
    encrypt enforce ensure escape exclude execute expire explain export expose extend extract \
    fall fetch filter find fix flag follow forbid format generate get give group guarantee \
    handle hide highlight identify ignore implement import improve include increase index inform \
    insert inspect install integrate introduce invalidate invite keep let limit link list listen \
    load lock log make manage map mark match measure merge migrate mock modify monitor move name \
    normalize notify offer open optimise optimize order overwrite paginate parse pass pause \
    permit persist poll populate post preserve prevent print process produce prompt propagate \
    protect provide publish purge push put queue raise read recognise record redirect reduce \
    refactor refresh refuse register reject release reload remember remind remove rename render \
    reopen replace reply report request require reset resize resolve respond restart restore \
    restrict retrieve retry return reuse revert review revoke rewrite rotate round route run \
    save scan schedule search select send separate serve set share show sign simplify skip sort \
    split start stop store stream submit subscribe suggest support switch sync synchronise \
    synchronize tag test throttle throw toggle track transfer transform translate trigger trim \
    truncate unify unlock update upgrade upload use validate verify view wait warn watch wrap \
    write";

/// Verbs that say a fault: as they stand in a report, and in base form.
const FAULTS: &[(&str, &str)] = &[
    ("crashes", "crash"),
    ("fails", "fail"),
    ("hangs", "hang"),
    ("breaks", "break"),
    ("freezes", "freeze"),
    ("panics", "panic"),
    ("leaks", "leak"),
    ("throws", "throw"),
    ("deadlocks", "deadlock"),
    ("corrupts", "corrupt"),
    ("loses", "lose"),
    ("ignores", "ignore"),
    ("crash", "crash"),
    ("fail", "fail"),
    ("panic", "panic"),
];

/// The base form of a verb that says a fault.
pub(super) fn fault(word: &str) -> Option<&'static str> {
    FAULTS.iter().find(|(form, _)| *form == word).map(|(_, base)| *base)
}

/// Whether a fault is said anywhere in `lower`.
pub(super) fn says_fault(lower: &str) -> bool {
    FAULTS.iter().any(|(form, _)| find_word(lower, form).is_some())
}

/// Plural and singular nouns that name people.
const PEOPLE: &str = "\
    user users customer customers admin admins administrator administrators visitor visitors \
    member members operator operators developer developers owner owners manager managers author \
    authors editor editors reader readers guest guests student students teacher teachers buyer \
    buyers seller sellers employee employees people person anyone everyone maintainer \
    maintainers reviewer reviewers agent agents tester testers subscriber subscribers player \
    players patient patients doctor doctors we i you they engineer engineers team teams caller \
    callers client clients";

pub(super) fn is_base_verb(word: &str) -> bool {
    VERBS.split(' ').any(|verb| verb == word)
}

/// The base of a third-person form of a known verb.
pub(super) fn base_of_third(word: &str) -> Option<String> {
    if word == "is" || word == "are" {
        return Some("be".into());
    }
    if word == "has" {
        return Some("have".into());
    }
    let candidates = [
        word.strip_suffix("ies").map(|rest| format!("{rest}y")),
        word.strip_suffix("es").map(str::to_owned),
        word.strip_suffix('s').map(str::to_owned),
    ];
    candidates.into_iter().flatten().find(|base| is_base_verb(base))
}

/// Whether the last noun of `subject` names people.
pub(super) fn is_people(subject: &str) -> bool {
    let head = subject.split([',', '(']).next().unwrap_or_default();
    let head = head.split(" with ").next().unwrap_or_default();
    let head = head.split(" who ").next().unwrap_or_default();
    let last = head.split_whitespace().last().unwrap_or_default().to_lowercase();
    PEOPLE.split(' ').any(|noun| noun == last)
}

/// Whether `subject` takes a plural verb.
pub(super) fn is_plural(subject: &str) -> bool {
    let lower = subject.to_lowercase();
    let head = [" of ", " for ", " in ", " with ", " to ", " that ", " from ", " on "]
        .iter()
        .filter_map(|word| lower.find(word))
        .min()
        .map_or(lower.as_str(), |end| &lower[..end]);
    let is_singular = ["a ", "an ", "each ", "every ", "this "].iter().any(|w| head.starts_with(w));
    let last = head.split_whitespace().last().unwrap_or_default();
    let plural = last.ends_with('s')
        && !["ss", "us", "is", "'s", "ps"].iter().any(|ending| last.ends_with(ending));
    !is_singular && (plural || head.contains(" and ") || last == "people")
}

/// The third person of a verb in base form.
pub(super) fn third(base: &str) -> String {
    match base {
        "be" => return "is".into(),
        "have" => return "has".into(),
        "do" => return "does".into(),
        "go" => return "goes".into(),
        _ => {}
    }
    let before_y = base.chars().rev().nth(1);
    if let Some(rest) = base.strip_suffix('y')
        && !before_y.is_some_and(|c| "aeiou".contains(c))
    {
        return format!("{rest}ies");
    }
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|ending| base.ends_with(ending));
    if hisses { format!("{base}es") } else { format!("{base}s") }
}

/// The gerund of a verb in base form.
pub(super) fn gerund(base: &str) -> String {
    if base == "be" {
        return "being".into();
    }
    let chars: Vec<char> = base.chars().collect();
    let is_vowel = |c: char| "aeiou".contains(c);
    if let Some(rest) = base.strip_suffix('e').filter(|rest| !rest.ends_with(['e', 'o', 'y'])) {
        return format!("{rest}ing");
    }
    let doubles = ["run", "set", "get", "put", "stop", "drop", "log", "sign", "submit", "skip"];
    let is_doubled = doubles.contains(&base) && base != "sign";
    if is_doubled && chars.last().is_some_and(|c| !is_vowel(*c)) {
        let last = chars[chars.len() - 1];
        return format!("{base}{last}ing");
    }
    format!("{base}ing")
}

/// A response after SHALL as a statement of fact: `reject it` becomes `rejects it`.
pub(super) fn as_fact(subject: &str, response: &str) -> String {
    let is_plural = is_plural(subject);
    if let Some(rest) = response.strip_prefix("NOT ") {
        let auxiliary = match (rest.strip_prefix("be "), is_plural) {
            (Some(rest), true) => return format!("are not {rest}"),
            (Some(rest), false) => return format!("is not {rest}"),
            (None, true) => "do not",
            (None, false) => "does not",
        };
        return format!("{auxiliary} {rest}");
    }
    let (verb, rest) = response.split_once(' ').unwrap_or((response, ""));
    if verb == "no" || verb == "only" || verb == "also" || verb == "always" {
        return format!("{verb} {}", as_fact(subject, rest));
    }
    let verb = match (is_plural, verb) {
        (true, "be") => "are".into(),
        (true, verb) => verb.to_owned(),
        (false, verb) => third(verb),
    };
    let rest = conjoined(rest, is_plural);
    format!("{verb} {rest}").trim_end().to_owned()
}

/// Conjugates a second verb after "and" too: `check it and return` becomes `… and returns`.
fn conjoined(rest: &str, is_plural: bool) -> String {
    if is_plural {
        return rest.to_owned();
    }
    let mut out: Vec<String> = Vec::new();
    for word in rest.split(' ') {
        let is_after_and = out.last().is_some_and(|last| last == "and");
        let is_verb = is_after_and && is_base_verb(word) && !word.ends_with('s');
        out.push(if is_verb { third(word) } else { word.to_owned() });
    }
    out.join(" ")
}
