from qbert4rec_hf.training.stage_folder import open_checkpoints


def test_goes_on_from_the_last_checkpoint_of_the_same_inputs_only(tmp_path):
    folder, last = open_checkpoints(tmp_path, {"seed": 0})
    assert last is None
    for step in (5, 10):
        (folder / f"checkpoint-{step}").mkdir()
    assert open_checkpoints(tmp_path, {"seed": 0})[1] == str(folder / "checkpoint-10")
    assert open_checkpoints(tmp_path, {"seed": 1})[1] is None
    assert not list(folder.glob("checkpoint-*"))


def test_a_folder_that_was_cut_off_while_it_was_made_starts_anew(tmp_path):
    folder, _ = open_checkpoints(tmp_path, {"seed": 0})
    (folder / "inputs.json").write_text('{"se')
    (folder / "checkpoint-5").mkdir()
    assert open_checkpoints(tmp_path, {"seed": 0})[1] is None
