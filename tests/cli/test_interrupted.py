"""Ctrl-C ends a command with status 130, and says whether it can be continued."""

from cortex_sim.runs import files

TRAIN = "train net.py:small --data ok.npz --batch-size 8 --epochs 2"


def interrupting(monkeypatch, after):
    save, count = files.save_file, 0

    def interrupted(*given):
        nonlocal count
        count += 1
        save(*given)
        if count == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(files, "save_file", interrupted)


def test_training_says_how_to_continue(run, here, monkeypatch):
    with monkeypatch.context() as patch:
        interrupting(patch, after=2)
        status, _, said = run(f"{TRAIN} --out run")
    assert status == 130
    assert said.endswith("cortex-sim: interrupted; continue with --resume\n")
    assert run("train --out run --resume")[0] == 0


def test_a_command_that_cannot_be_continued_does_not_say_so(run, here, monkeypatch):
    from cortex_sim.commands import look

    def interrupted(*given, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(look.library, "model", interrupted)
    status, _, said = run("show digits_mlp")
    assert (status, said) == (130, "cortex-sim: interrupted\n")
