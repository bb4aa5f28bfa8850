//! Faults planted in a stored archive, one of every kind that can be thought of: the verifier has to find each.

use sotto_collector::archive::verify::check;

use super::*;

/// Puts right what a careful forger would: digests and the chain.
fn forge(lines: &mut [Line]) {
    let mut numbers: Vec<u64> = lines.iter().map(|l| l.release).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut previous = [0; 32];
    for number in numbers {
        lines.iter_mut().filter(|l| l.release == number).for_each(|l| l.previous = previous);
        let release: Vec<Line> = lines.iter().filter(|l| l.release == number).cloned().collect();
        previous = releases::digest(&release);
        lines.iter_mut().filter(|l| l.release == number).for_each(|l| l.digest = previous);
    }
}

type Fault = fn(&mut Vec<Line>, usize);

/// What is done to the archive; the index is that of the line of sources of the first day.
const CARELESS: [(&str, Fault); 10] = [
    ("a count is one more", |l, i| l[i].counts[0] += 1),
    ("a hit is one more", |l, i| l[i].hits[0] += 1),
    ("a value has another name", |l, i| l[i].values[0] = "A".into()),
    ("a line is gone", |l, i| drop(l.remove(i))),
    ("a line is there twice", |l, i| l.push(l[i].clone())),
    ("a release is gone", |l, i| {
        let number = l[i].release;
        l.retain(|line| line.release != number);
    }),
    ("the first release is gone", |l, _| {
        let first = l.iter().map(|line| line.release).min().unwrap();
        l.retain(|line| line.release != first);
    }),
    ("a line is of another day", |l, i| l[i].day += 1),
    ("a line belongs to another site", |l, i| l[i].site = SiteId(1)),
    ("a line says that it cost nothing", |l, i| l[i].rho = 0.0),
];

/// The same by somebody who makes all digests anew.
const CAREFUL: [(&str, Fault); 22] = [
    ("a value of fewer visitors than the threshold", |l, i| l[i].counts[0] = l[i].threshold - 1),
    ("a value of one visitor", |l, i| {
        l[i].values.push("zzz".into());
        l[i].counts.push(1);
        l[i].hits.push(1);
    }),
    ("a value twice", |l, i| {
        let first = l[i].values[0].clone();
        l[i].values.insert(0, first);
        let (count, hits) = (l[i].counts[0], l[i].hits[0]);
        l[i].counts.insert(0, count);
        l[i].hits.insert(0, hits);
    }),
    ("values in the order of their counts", |l, i| l[i].values.reverse()),
    ("a figure without a value", |l, i| l[i].counts.push(1000)),
    ("a value without hits", |l, i| l[i].hits.truncate(1)),
    ("more hits than the visitors can have", |l, i| l[i].hits[0] = l[i].counts[0] * archived::HITS_MAX + 1),
    ("exact figures", |l, i| l[i].sigma = 0.0),
    ("hits with less noise", |l, i| l[i].hits_sigma /= 2.0),
    ("a lower threshold", |l, i| l[i].threshold -= 1),
    ("a line that says it cost less", |l, i| l[i].rho /= 2.0),
    ("a line with a smaller chance than it has", |l, i| l[i].delta = 0.0),
    ("a dimension that is not archived", |l, i| l[i].dimension = "visitor".into()),
    ("a dimension of a month in a day", |l, i| l[i].dimension = "region".into()),
    ("a dimension twice", |l, i| l.push(l[i].clone())),
    ("hits without a visitor that have hits", |l, i| l[i].anonymous = true),
    ("a total with a value", |l, i| {
        let (release, at) = (l[i].release, |line: &Line| line.dimension == "visitors" && !line.anonymous);
        let total = l.iter_mut().find(|line| line.release == release && at(line)).unwrap();
        total.values = vec!["/secret".into()];
        total.counts = vec![1000];
    }),
    ("a release without its visitors", |l, i| {
        let release = l[i].release;
        l.retain(|line| line.release != release || line.dimension != "visitors");
    }),
    ("a second release of a day", |l, i| {
        let (release, last) = (l[i].release, l.iter().map(|line| line.release).max().unwrap());
        let again: Vec<Line> = l.iter().filter(|line| line.release == release).cloned().collect();
        l.extend(again.into_iter().map(|line| Line { release: last + 1, ..line }));
    }),
    ("a month that begins in its middle", |l, _| {
        l.iter_mut().filter(|line| line.period == Period::Month).for_each(|line| line.day += 3);
    }),
    ("a privacy loss that nobody may choose", |l, i| {
        let release = l[i].release;
        l.iter_mut().filter(|line| line.release == release).for_each(|line| line.epsilon = 9);
    }),
    ("a day that got all of its budget, and is in a month", |l, i| {
        let release = l[i].release;
        l.iter_mut().filter(|line| line.release == release).for_each(|line| line.monthly = false);
    }),
];

#[tokio::test]
async fn fault_of_any_kind_is_found_by_the_verifier() {
    let server = server().await;
    let db = server.db();
    let site = site();
    store(&db, site.id, &visitors(0..4, 300)).await;
    seal(&db, &site).await;
    let whole = releases::lines(&db, site.id).await.unwrap();
    assert_eq!(check(&whole, site.id).unwrap().flaws, Vec::<String>::new());
    let mut forged = whole.clone();
    forge(&mut forged);
    assert_eq!(forged, whole, "the forger of this test makes the same digests");
    let day = Day::of(MONTH).0;
    let is_target = |l: &Line| l.period == Period::Day && l.day == day && l.dimension == "source";
    let at = whole.iter().position(is_target).unwrap();
    assert!(whole[at].values.len() > 1);
    let mut missed = Vec::new();
    for (careful, (what, fault)) in CARELESS.map(|f| (false, f)).into_iter().chain(CAREFUL.map(|f| (true, f)))
    {
        let mut lines = whole.clone();
        fault(&mut lines, at);
        assert_ne!(lines, whole, "{what}");
        if careful {
            forge(&mut lines);
        }
        if check(&lines, site.id).unwrap().flaw_count == 0 {
            missed.push(what);
        }
    }
    assert_eq!(missed, Vec::<&str>::new());
    server.engine.stop().await;
}
