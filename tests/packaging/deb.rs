//! The Debian package, made of this binary: unpacked, and installed on a view of this host that only memory keeps.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::served::Served;
use super::shipped;

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_package_serves_as_it_is_unpacked_and_installed_and_a_purge_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let (out, root) = (folder.path().join("out"), folder.path().join("root"));
    let made = run(Command::new(shipped("scripts/package"))
        .args(["--fast", "--binary", env!("CARGO_BIN_EXE_scumble"), "--to"])
        .arg(&out));
    let deb = made.lines().last().unwrap();
    run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&root));
    for file in [
        "lib/systemd/system/scumble.service",
        "usr/share/man/man1/scumble-serve.1.gz",
        "usr/share/bash-completion/completions/scumble",
        "usr/share/doc/scumble/copyright",
        "usr/share/doc/scumble/examples/scumble-tls.conf",
        "usr/share/doc/scumble/JOBS.md",
    ] {
        assert!(root.join(file).exists(), "{file}");
    }
    let control = folder.path().join("control");
    run(Command::new("dpkg-deb").arg("-e").arg(deb).arg(&control));
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(control.join(script)));
    }
    let told = fs::read_to_string(control.join("conffiles")).unwrap();
    assert_eq!(told.trim(), "/etc/scumble/scumble.toml");

    let (program, symbols) = (root.join("usr/bin/scumble"), out.join("scumble.debug"));
    let size = |path: &std::path::Path| fs::metadata(path).unwrap().len();
    assert!(size(&program) < size(env!("CARGO_BIN_EXE_scumble").as_ref()) && size(&symbols) > 0);
    let text = fs::read_to_string(root.join("etc/scumble/scumble.toml")).unwrap();
    let config = folder.path().join("scumble.toml");
    let place = folder.path().to_str().unwrap();
    fs::write(
        &config,
        text.replace("/var/lib/scumble", place)
            .replace(":8081", ":0"),
    )
    .unwrap();
    let relay = Served::start(
        Command::new(&program)
            .args(["serve", "--config"])
            .arg(&config)
            .env_clear(),
    );
    assert!(relay.address.is_some());
    assert!(relay.end().0.success());
    let sums = run(Command::new("sha256sum")
        .args(["-c", "SHA256SUMS"])
        .current_dir(&out));
    assert_eq!(sums.lines().count(), 4, "{sums}");
    let tried = run(Command::new(shipped("scripts/try-package")).arg(deb));
    assert!(tried.contains("nothing is left"), "{tried}");
}
