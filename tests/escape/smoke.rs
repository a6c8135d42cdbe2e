use assize_tests::{block_on, executor, out, python, run, shell};

#[test]
fn smoke() {
    let ex = executor(2, &[]);
    for (n, p) in [
        shell("echo hi; id; cat /proc/self/status | grep -E 'Cap|NoNew|Seccomp'; ls -la / /work /dev; mount; hostname; cat /proc/self/cgroup; env; ps ax"),
        python("import sys,os; print(sys.version, os.getuid(), os.getpid(), os.cpu_count())"),
        shell("exit 3"),
        shell("kill -SEGV $$"),
    ]
    .into_iter()
    .enumerate()
    {
        let t = std::time::Instant::now();
        let o = run(&ex, p);
        println!("{n}: {:?} {:?} {:?} {:?}\n{}\n{}", t.elapsed(), o.end, o.usage, o.violations, out(&o), String::from_utf8_lossy(&o.stderr.data));
    }
    let caps = block_on(ex.prove());
    for p in &caps.probes {
        println!("{:20} {:5} {} -> {}", p.name, p.enforced, p.tried, p.seen);
    }
    let t = std::time::Instant::now();
    for _ in 0..200 {
        let _ = run(&ex, assize_tests::plan(&["/bin/true"]));
    }
    println!("true: {:?}", t.elapsed() / 200);
    let t = std::time::Instant::now();
    for _ in 0..20 {
        let _ = run(&ex, python("print(1)"));
    }
    println!("python: {:?}", t.elapsed() / 20);
}
