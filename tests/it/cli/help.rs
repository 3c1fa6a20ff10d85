//! Help, which is part of the interface.

use super::*;

/// Help is part of the interface: that of every verb is compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn help_is_what_it_was() {
    let verbs: [&[&str]; 15] = [
        &[],
        &["demo"],
        &["serve"],
        &["agents"],
        &["card", "get"],
        &["send"],
        &["batch"],
        &["task", "get"],
        &["task", "list"],
        &["task", "subscribe"],
        &["task", "cancel"],
        &["inbox"],
        &["problems"],
        &["config"],
        &["completion"],
    ];
    for verb in verbs {
        let output = binary().args(verb).arg("--help").output().await.unwrap();
        assert!(output.status.success());
        let name = format!("help-{}", if verb.is_empty() { "quarterdeck".into() } else { verb.join("-") });
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, text(&output.stdout));
        });
    }
    for verb in [&["completion", "bash"][..], &["man"][..], &["--version"][..]] {
        let output = binary().args(verb).output().await.unwrap();
        assert!(output.status.success() && !output.stdout.is_empty(), "{verb:?}");
    }
}
