//! The first thing that a newcomer sees.

use std::process::Stdio;

use echolog_tests::{echolog_binary, run};
use tokio::process::Command;

#[test]
fn the_tour_plays_to_its_end() {
    run(async {
        let data = tempfile::tempdir()?;
        // PostgreSQL runs under another user where we are root.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(data.path(), open)?;
        let output = Command::new(echolog_binary()?)
            .args(["dev", "--tour", "--once", "--metrics-addr", "127.0.0.1:0", "--data"])
            .arg(data.path().join("data"))
            .stdin(Stdio::null())
            .output()
            .await?;
        let shown = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{shown}\n{said}");
        // Once for the rebuild, then once for each projection.
        assert_eq!(shown.matches("no difference").count(), 7, "{shown}");
        assert_eq!(said, "", "a quiet run has nothing to warn of");
        Ok(())
    });
}
