"""The judge sees each kind of fault, and none where there is none."""
import copy
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from judge import Judge  # noqa: E402


def made(name, text="a"):
    return {"type": "object-create", "object": {"id": name, "kind": "note", "text": text}}


# Ada and Ben on one canvas: Ada's ops 1 and 2, Ben's op 1 between them; then somebody asks for the state.
GOOD = [
    {"t": 0, "what": "joined", "client": "ada", "epoch": "e", "seq": 0},
    {"t": 0, "what": "joined", "client": "ben", "epoch": "e", "seq": 0},
    {"t": 1, "what": "sent", "client": "ada", "op": 1, "message": made("one")},
    {"t": 2, "what": "acked", "client": "ada", "op": 1, "seq": 1, "status": "ok"},
    {"t": 2, "what": "seen", "client": "ben", "seq": 1, "author": "ada", "op": 1},
    {"t": 3, "what": "sent", "client": "ben", "op": 1,
     "message": {"type": "object-update", "id": "one", "patch": {"text": "b"}}},
    {"t": 3, "what": "sent", "client": "ada", "op": 2, "message": made("two")},
    {"t": 4, "what": "seen", "client": "ada", "seq": 2, "author": "ben", "op": 1},
    {"t": 4, "what": "acked", "client": "ben", "op": 1, "seq": 2, "status": "ok"},
    {"t": 5, "what": "acked", "client": "ada", "op": 2, "seq": 3, "status": "ok"},
    {"t": 5, "what": "seen", "client": "ben", "seq": 3, "author": "ada", "op": 2},
    {"t": 9, "what": "state", "epoch": "e", "seq": 3, "objects": {
        "one": {"id": "one", "kind": "note", "text": "b"}, "two": {"id": "two", "kind": "note", "text": "a"}}},
]


def judged(history):
    judge = Judge()
    for record in history:
        judge.take({"canvas": "board", **record})
    return [kind for kind, _ in judge.close()]


class Faults(unittest.TestCase):
    def changed(self, change):
        history = copy.deepcopy(GOOD)
        change(history)
        return judged(history)

    def test_a_good_history_has_none(self):
        self.assertEqual(judged(GOOD), [])

    def test_an_acked_message_that_a_later_state_lacks_is_lost(self):
        def change(history):
            history[-1].update(seq=2)
            del history[-1]["objects"]["two"]
        self.assertEqual(set(self.changed(change)), {"lost"})

    def test_a_number_that_a_stream_leaves_out_is_lost(self):
        self.assertIn("lost", self.changed(lambda history: history.pop(7)))

    def test_an_object_that_is_missing_is_a_fault(self):
        self.assertEqual(self.changed(lambda history: history[-1]["objects"].pop("two")), ["changed"])

    def test_going_back_in_an_epoch_is_a_loss(self):
        back = {"t": 6, "what": "joined", "client": "ben", "epoch": "e", "seq": 1}
        self.assertEqual(self.changed(lambda history: history.insert(11, back)), ["lost"])

    def test_an_op_at_two_places_is_doubled(self):
        again = {"t": 6, "what": "seen", "client": "ben", "seq": 4, "author": "ada", "op": 2}
        def change(history):
            history.insert(11, again)
            history[-1].update(seq=4)
        self.assertIn("doubled", self.changed(change))

    def test_an_op_at_two_places_in_two_epochs_is_doubled(self):
        def change(history):
            history.insert(11, {"t": 6, "what": "joined", "client": "ben", "epoch": "f", "seq": 3})
            history.insert(12, {"t": 7, "what": "seen", "client": "ben", "seq": 4, "author": "ada", "op": 2})
            history[-1].update(epoch="f", seq=4)
        self.assertIn("doubled", self.changed(change))

    def test_a_message_that_comes_twice_is_doubled(self):
        self.assertEqual(self.changed(lambda history: history.insert(11, history[10])), ["doubled"])

    def test_an_authors_ops_out_of_order_are_seen(self):
        def change(history):
            history[3].update(seq=3)
            history[4].update(op=2)
            history[9].update(seq=1)
            history[10].update(op=1)
        self.assertIn("disorder", self.changed(change))

    def test_two_messages_at_one_place_are_seen(self):
        self.assertIn("disorder", self.changed(lambda history: history[4].update(op=2)))

    def test_what_nobody_sent_is_a_ghost(self):
        self.assertIn("ghost", self.changed(lambda history: history[7].update(op=7)))
        self.assertIn("ghost", self.changed(lambda history: history[3].update(op=7)))
        self.assertIn("ghost", self.changed(lambda history: history[-1]["objects"].update(three={"id": "three"})))

    def test_what_was_refused_for_good_and_is_there_is_a_ghost(self):
        refused = {"t": 4, "what": "refused", "client": "ada", "op": 2, "code": "too-large"}
        self.assertIn("ghost", self.changed(lambda history: history.insert(8, refused)))
        refused["code"] = "overloaded"
        self.assertEqual(self.changed(lambda history: history.insert(8, refused)), [])

    def test_an_ack_before_the_commit_is_seen(self):
        between = {"t": 6, "what": "state", "epoch": "e", "seq": 2, "objects": None}
        self.assertEqual(set(self.changed(lambda history: history.insert(11, between))), {"early"})
        between["t"] = 4
        self.assertEqual(self.changed(lambda history: history.insert(11, between)), [])

    def test_an_object_that_nobody_wrote_so_is_changed(self):
        self.assertEqual(self.changed(lambda history: history[-1]["objects"]["one"].update(text="c")), ["changed"])

    def test_a_message_that_came_otherwise_than_it_was_sent_is_changed(self):
        def came(text):
            return self.changed(lambda history: history[4].update(message=made("one", text)))
        self.assertEqual(came("a"), [])
        self.assertEqual(came("b"), ["changed"])

    def test_what_was_ignored_and_is_there_is_a_ghost(self):
        ignored = {"t": 6, "what": "acked", "client": "ada", "op": 2, "seq": 0, "status": "ignored"}
        self.assertEqual(self.changed(lambda history: history.insert(11, ignored)), ["ghost"])

    def test_what_was_told_forgotten_and_then_ignored_is_no_ghost(self):
        def history(epoch, forgets):
            update = {"type": "object-update", "id": "two", "patch": {"text": "z"}}
            told = [*GOOD[:-1],
                    {"t": 6, "what": "sent", "client": "ada", "op": 3, "message": update},
                    {"t": 6, "what": "seen", "client": "ben", "seq": 4, "author": "ada", "op": 3}]
            forgot = [{"t": 7, "what": "forgets", "to": 5}] if forgets else []
            return [*told, *forgot,
                    {"t": 8, "what": "joined", "client": "ada", "epoch": epoch, "seq": 3},
                    {"t": 9, "what": "acked", "client": "ada", "op": 3, "seq": 0, "status": "ignored"}]
        self.assertEqual(judged(history("f", forgets=True)), [])
        self.assertEqual(judged(history("e", forgets=True)), ["ghost"])
        self.assertEqual(judged(history("f", forgets=False)), ["ghost"])

    def test_what_was_ignored_does_not_hide_what_is_missing(self):
        def change(history):
            update = {"type": "object-update", "id": "two", "patch": {"text": "z"}}
            history[3:3] = [{"t": 1, "what": "sent", "client": "ben", "op": 9, "message": update},
                            {"t": 1, "what": "acked", "client": "ben", "op": 9, "seq": 0, "status": "ignored"}]
            history[-1]["objects"].pop("two")
        self.assertEqual(self.changed(change), ["changed"])

    def test_updates_of_all_kinds_are_understood(self):
        def change(history):
            history[5]["message"] = {
                "type": "object-update", "id": "one", "patch": {"text": None, "n": {"a": 1, "b": [1]}}, "unset": ["n.a", "no.where"],
                "set": {"deep.er": None, "a\\.b": 2}, "append": {"n.b": [2], "new": "x", "kind": "s"}}
            history[-1]["objects"]["one"] = {
                "id": "one", "kind": "notes", "n": {"b": [1, 2]}, "deep": {"er": None}, "a.b": 2, "new": "x"}
        self.assertEqual(self.changed(change), [])

    def test_after_a_second_loss_the_places_of_the_first_count_no_more(self):
        def write(t, client, op, seq, name):
            return [{"t": t, "what": "sent", "client": client, "op": op, "message": made(name)},
                    {"t": t, "what": "acked", "client": client, "op": op, "seq": seq, "status": "ok"}]
        history = GOOD[:11] + write(6, "ada", 3, 4, "lost") + [
            {"t": 7, "what": "forgets", "to": 6}, {"t": 7, "what": "joined", "client": "ben", "epoch": "f", "seq": 3}]
        history += write(8, "ben", 2, 4, "kept") + [{"t": 9, "what": "joined", "client": "ben", "epoch": "g", "seq": 4}]
        last = copy.deepcopy(GOOD[-1])
        last.update(t=10, epoch="g", seq=4)
        last["objects"]["kept"] = made("kept")["object"]
        self.assertEqual(judged(history + [last]), [])
        del last["objects"]["kept"]
        self.assertEqual(judged(history + [last]), ["changed"])

    def test_a_restored_backup_may_lack_what_came_after_it_and_nothing_else(self):
        def restored(to, epoch):
            def change(history):
                history.insert(-1, {"t": 6, "what": "forgets", "to": to})
                history[-1].update(epoch=epoch, seq=2)
                del history[-1]["objects"]["two"]
            return self.changed(change)
        self.assertEqual(restored(5, "f"), [])
        self.assertEqual(set(restored(5, "e")), {"lost"})
        self.assertEqual(set(restored(6, "f")), {"lost"})

    def test_the_program_counts_and_says_what_is_no_history(self):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "judge.py")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "history.jsonl")
            def run(history):
                with open(path, "w", encoding="utf-8") as file:
                    file.writelines(json.dumps({"canvas": "board", **record}) + "\n" for record in history)
                return subprocess.run([sys.executable, program, path], capture_output=True, text=True, check=False)
            good = run(GOOD)
            self.assertEqual(good.returncode, 0, good)
            self.assertIn("3 acked, 3 seen, 0 without an answer; 0 lost", good.stdout)
            bad = run(GOOD[:-2])
            self.assertEqual(bad.returncode, 0, "a history may end anywhere")
            bad = run(GOOD[:7] + GOOD[8:])
            self.assertEqual(bad.returncode, 1)
            self.assertIn("lost: line 9: board: ada gets 3 where 2 comes", bad.stdout)
            strange = run([{"t": 1, "what": "heard"}])
            self.assertIn(f"{path}:1: not a record", strange.stderr)


if __name__ == "__main__":
    unittest.main()
