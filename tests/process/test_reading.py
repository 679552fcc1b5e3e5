from mattingjax.process.reading import explain_absence
from tests.privileges import obeying_permissions


def test_what_is_not_found_in_a_folder_that_cannot_be_read(tmp_path):
    (tmp_path / 'secret').mkdir(mode=0)
    with obeying_permissions():
        said = explain_absence(tmp_path / 'secret' / 'photo.png')
    (tmp_path / 'secret').chmod(0o700)
    assert said == 'cannot be read (Permission denied)'
    assert explain_absence(tmp_path / 'photo.png') == 'no such file'
    assert explain_absence('photo\0.png', 'file or folder') == 'no such file or folder'
    assert explain_absence('y' * 5000) == 'no such file'
