//! Small epochs, reckoned by hand. Nothing here is about when epochs are.

use super::*;

const RULES: Rules =
    Rules { kappa: 32_767, bonds_moving_average: 900_000, validators_max: 64, emission: 1_000_000 };

fn validator(stake: u64, weights: &[(u16, u16)]) -> Neuron {
    Neuron { stake, active: true, permit: true, weights: weights.to_vec(), bonds: Vec::new() }
}

#[track_caller]
fn about(found: &[u16], expect: &[u16]) {
    let near = found.iter().zip(expect).all(|(found, expect)| found.abs_diff(*expect) <= 2);
    assert!(near && found.len() == expect.len(), "{found:?} is not about {expect:?}");
}

/// Two validators of 40 % agree, one of 20 % gives all to uid 4: that is clipped.
#[test]
fn what_a_minority_gives_is_clipped() {
    let agreed = &[(3, 65_535), (4, 21_845)][..];
    let mut neurons = vec![validator(40, agreed), validator(40, agreed)];
    neurons.push(validator(20, &[(4, 65_535)]));
    neurons.extend([Neuron::default(), Neuron::default()]);
    let outcome = epoch(&neurons, RULES);
    // Ranks: 0.8 · 0.75 and 1.0 · 0.25, of 0.85.
    about(&outcome.incentive, &[0, 0, 0, 46_260, 19_275]);
    about(&outcome.trust[..3], &[65_535, 65_535, 16_384]);
    // Bonds in uid 3: halves; in uid 4: 0.4, 0.4, 0.2. The third has 0.2 · 0.25/0.85 of it all.
    about(&outcome.dividends, &[30_840, 30_840, 3_855, 0, 0]);
    assert!(outcome.permits[..3].iter().all(|permit| *permit));
}

#[test]
fn who_has_no_permit_or_sleeps_does_not_count() {
    let mut neurons = vec![validator(50, &[(2, 1)]), validator(50, &[(3, 1)])];
    neurons.extend([Neuron::default(), Neuron::default()]);
    neurons[1].active = false;
    about(&epoch(&neurons, RULES).incentive, &[0, 0, 65_535, 0]);
    neurons[1].active = true;
    neurons[1].permit = false;
    about(&epoch(&neurons, RULES).incentive, &[0, 0, 65_535, 0]);
}

#[test]
fn without_weights_miners_earn_nothing() {
    let outcome = epoch(&[Neuron::default(), validator(7, &[])], RULES);
    assert_eq!(outcome.incentive, [0, 0]);
}
