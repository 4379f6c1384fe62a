//! In which order other tools, which go from top to bottom, are given the tasks: what a task
//! depends on stands before it, and otherwise the plan's own order holds.

use std::collections::BTreeSet;

use specline_aggregates::output::PlannedTask;

use super::Story;

/// Puts stories, and the tasks of each, in order. A story stands behind those whose tasks its own
/// depend on; where two need each other, no order of stories could be right, and the first stays
/// first.
pub(super) fn put_in_order(stories: Vec<Story<'_>>) -> Vec<Story<'_>> {
    let holds = |story: &Story<'_>, id: &str| story.tasks.iter().any(|task| task.id == id);
    let needs = |story: &Story<'_>| -> BTreeSet<usize> {
        let ids = story.tasks.iter().flat_map(|task| &task.depends_on);
        let of = |id: &String| stories.iter().position(|other| holds(other, id));
        ids.filter_map(of).collect()
    };
    let order = in_order(&stories.iter().map(needs).collect::<Vec<_>>());
    let mut stories: Vec<Option<Story<'_>>> = stories.into_iter().map(Some).collect();
    let ordered = order.into_iter().filter_map(|n| stories[n].take());
    ordered.map(|story| Story { tasks: tasks_in_order(&story.tasks), ..story }).collect()
}

fn tasks_in_order<'a>(tasks: &[&'a PlannedTask]) -> Vec<&'a PlannedTask> {
    let of = |id: &String| tasks.iter().position(|task| task.id == *id);
    let needs = |task: &&PlannedTask| task.depends_on.iter().filter_map(of).collect();
    let order = in_order(&tasks.iter().map(needs).collect::<Vec<_>>());
    order.into_iter().map(|n| tasks[n]).collect()
}

/// The numbers from 0, each behind those that it needs; the lowest first where there is a choice,
/// and also where they need each other in a circle.
fn in_order(needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let mut left: BTreeSet<usize> = (0..needs.len()).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(first) = left.first().copied() {
        let is_free = |n: &usize| needs[*n].iter().all(|need| need == n || !left.contains(need));
        let next = left.iter().copied().find(|n| is_free(n)).unwrap_or(first);
        left.remove(&next);
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first_and_the_rest_stays() {
        let order = |needs: &[&[usize]]| {
            let sets: Vec<_> = needs.iter().map(|need| need.iter().copied().collect()).collect();
            in_order(&sets)
        };
        assert_eq!(order(&[&[], &[], &[]]), [0, 1, 2]);
        assert_eq!(order(&[&[2], &[], &[]]), [1, 2, 0]);
        assert_eq!(order(&[&[1], &[2], &[]]), [2, 1, 0]);
        assert_eq!(order(&[&[1], &[0], &[0]]), [0, 1, 2], "a circle is broken at its first");
        assert_eq!(order(&[&[0], &[]]), [0, 1], "its own need is none");
    }
}
