//! Attributes that failed tasks share and completed ones do not.

use std::collections::BTreeMap;

use crate::domain::text::Untrusted;

/// A name and a value.
pub type Attribute = (Untrusted, Untrusted);

/// A job of a window with its attributes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// True if it failed.
    pub failed: bool,
    /// `agent`, `version`, `skill`, `caller`, metadata keys and data fields, with their values. Each key once.
    pub attributes: Vec<Attribute>,
}

/// An attribute, or a pair of them, that is more frequent among the failed jobs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedAttribute {
    /// The attribute; two if only the pair distinguishes the failed jobs.
    pub attributes: Vec<Attribute>,
    /// How many of the failed have it.
    pub failed: u32,
    /// The number of completed jobs with it.
    pub fine: u32,
    /// True if it is as frequent among completed jobs, so it is no lead: listed because operators look for it.
    pub as_usual: bool,
}

/// The result of the comparison.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Comparison {
    /// The number of failed jobs.
    pub failed: u32,
    /// The number of completed jobs.
    pub fine: u32,
    /// The largest differences first.
    pub shared: Vec<SharedAttribute>,
}

/// An attribute, with the numbers of failed and completed jobs that have it.
type AttributeCounts<'a> = (&'a Attribute, (u32, u32));

/// The minimum number of failures: fewer have much in common by chance.
pub const LEAST: u32 = 8;
/// The minimum number of failures with the same attribute.
const LEAST_ALIKE: u32 = 2;
/// The minimum excess among the failed jobs, in percentage points.
const POINTS: i64 = 20;
/// The maximum number of leads.
const MOST: usize = 6;
/// A key with more values than this holds ids and the like, which are no leads.
const VALUES: usize = 200;

impl Comparison {
    /// Compares failed with completed jobs.
    pub fn of(cases: &[Case]) -> Self {
        let count = |failed: bool| u32::try_from(cases.iter().filter(|case| case.failed == failed).count());
        let (failed, fine) = (count(true).unwrap_or(u32::MAX), count(false).unwrap_or(u32::MAX));
        let mut common = Self { failed, fine, shared: Vec::new() };
        if failed < LEAST {
            return common;
        }
        let mut counts: BTreeMap<&Attribute, (u32, u32)> = BTreeMap::new();
        let mut values: BTreeMap<&Untrusted, usize> = BTreeMap::new();
        for case in cases {
            for attribute in &case.attributes {
                let (bad, good) = counts.entry(attribute).or_insert_with(|| {
                    *values.entry(&attribute.0).or_default() += 1;
                    (0, 0)
                });
                *if case.failed { bad } else { good } += 1;
            }
        }
        counts.retain(|(key, _), _| values.get(key).is_none_or(|count| *count <= VALUES));
        let mut leads: Vec<_> = counts.into_iter().filter(|(_, (bad, _))| *bad >= LEAST_ALIKE).collect();
        leads.sort_by_key(|(attribute, counts)| (-common.points(*counts), *attribute));
        let found: Vec<_> = leads.iter().filter(|(_, counts)| common.points(*counts) >= POINTS).collect();
        for (attribute, (bad, good)) in found.iter().take(MOST) {
            common.shared.push(SharedAttribute {
                attributes: vec![(*attribute).clone()],
                failed: *bad,
                fine: *good,
                as_usual: false,
            });
        }
        if let Some(both) = common.both_at_once(cases, &found) {
            common.shared.insert(2, both);
        }
        // The next obvious suspect is listed even if it is no lead.
        let suspects = ["agent", "caller", "skill"];
        let is_listed = |common: &Self, key: &str| {
            common.shared.iter().any(|shared| shared.attributes.iter().any(|(of, _)| of.raw() == key))
        };
        for key in suspects {
            let top = leads.iter().filter(|((of, _), _)| of.raw() == key).max_by_key(|(_, (bad, _))| *bad);
            if let Some((attribute, (bad, good))) = top.filter(|_| !is_listed(&common, key)) {
                common.shared.push(SharedAttribute {
                    attributes: vec![(*attribute).clone()],
                    failed: *bad,
                    fine: *good,
                    as_usual: true,
                });
            }
        }
        common
    }

    /// The excess among the failed jobs, in percentage points.
    fn points(&self, (bad, good): (u32, u32)) -> i64 {
        let share = |part: u32, of: u32| i64::from(part) * 100 / i64::from(of.max(1));
        share(bad, self.failed) - share(good, self.fine)
    }

    /// The two best leads combined, if fewer completed jobs have both than either.
    fn both_at_once(&self, cases: &[Case], found: &[&AttributeCounts<'_>]) -> Option<SharedAttribute> {
        let [(first, first_counts), (second, second_counts), ..] = found else { return None };
        let has = |case: &&Case| case.attributes.contains(first) && case.attributes.contains(second);
        let count = |failed: bool| {
            let all = cases.iter().filter(|case| case.failed == failed).filter(has).count();
            u32::try_from(all).unwrap_or(u32::MAX)
        };
        let both = (count(true), count(false));
        let better = self.points(both) > self.points(*first_counts).max(self.points(*second_counts));
        better.then(|| SharedAttribute {
            attributes: vec![(*first).clone(), (*second).clone()],
            failed: both.0,
            fine: both.1,
            as_usual: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Group<'a> = (bool, usize, &'a [(&'a str, &'a str)]);

    fn cases(groups: &[Group<'_>]) -> Vec<Case> {
        let attributes = |pairs: &[(&str, &str)]| -> Vec<(Untrusted, Untrusted)> {
            pairs.iter().map(|(key, value)| (Untrusted::from(*key), Untrusted::from(*value))).collect()
        };
        let many = groups.iter().flat_map(|(failed, count, pairs)| {
            std::iter::repeat_n(Case { failed: *failed, attributes: attributes(pairs) }, *count)
        });
        many.collect()
    }

    fn words(common: &Comparison) -> Vec<String> {
        let shared = common.shared.iter().map(|shared| {
            let what: Vec<String> =
                shared.attributes.iter().map(|(key, value)| format!("{key} {value}")).collect();
            let usual = if shared.as_usual { " as usual" } else { "" };
            format!("{} {}/{}{usual}", what.join(" + "), shared.failed, shared.fine)
        });
        shared.collect()
    }

    #[test]
    fn attributes_of_failed_jobs_are_listed_with_counts() {
        // As in the night when discounts met a new version.
        let night = cases(&[
            (true, 57, &[("agent", "cashier-2"), ("discount", "yes"), ("caller", "shop-web")]),
            (false, 80, &[("agent", "cashier-2"), ("discount", "no"), ("caller", "shop-web")]),
            (false, 3, &[("agent", "cashier-1"), ("discount", "yes"), ("caller", "shop-web")]),
            (false, 79, &[("agent", "cashier-1"), ("discount", "no"), ("caller", "shop-web")]),
        ]);
        let common = Comparison::of(&night);
        assert_eq!((common.failed, common.fine), (57, 162));
        assert_eq!(
            words(&common),
            [
                "discount yes 57/3",
                "agent cashier-2 57/80",
                "discount yes + agent cashier-2 57/0",
                "caller shop-web 57/162 as usual",
            ]
        );
    }

    #[test]
    fn too_few_jobs_give_no_lead() {
        for (cases, expected) in [
            (cases(&[(true, 7, &[("agent", "a")]), (false, 50, &[("agent", "b")])]), vec![]),
            (cases(&[(true, 10, &[]), (false, 10, &[])]), vec![]),
            (
                cases(&[(true, 10, &[("skill", "s")]), (false, 90, &[("skill", "s")])]),
                vec!["skill s 10/90 as usual"],
            ),
        ] {
            assert_eq!(words(&Comparison::of(&cases)), expected);
        }
        // Every job has an order number of its own.
        let ids: Vec<Case> = (0..600)
            .map(|n| Case {
                failed: n < 300,
                attributes: vec![("order".into(), Untrusted::from(format!("{}", n / 2)))],
            })
            .collect();
        assert_eq!(words(&Comparison::of(&ids)), Vec::<String>::new());
    }
}
