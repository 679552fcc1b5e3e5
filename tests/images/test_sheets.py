import numpy as np
import pytest

from mattingjax.images.sheets import checkerboard, make_panel, make_sheet


@pytest.mark.parametrize('size', [(60, 80), (2000, 900), (16, 200)])
def test_panel_fits_a_screen(size):
    alpha = np.zeros(size, np.float32)
    photo = np.full((*size, 3), 50, np.uint8)
    panel = make_panel(photo, alpha, photo)
    assert panel.shape[0] <= 700
    assert panel.shape[1] <= 2000
    assert len(np.unique(panel)) >= 4  # the photo, black, and the two greys of the checkerboard


def test_checkerboard_alternates():
    board = checkerboard(24, 24, square=12)
    assert board[0, 0, 0] == board[23, 23, 0] != board[0, 23, 0]


def test_sheet_aligns_columns_and_leaves_missing_pictures_out():
    wide, narrow = (np.full((20, width), grey, np.uint8) for width, grey in ((90, 10), (40, 60)))
    sheet = make_sheet([[narrow, narrow], [wide, narrow], [None, narrow], [narrow]])
    assert sheet.shape == (8 + 4 * 28, 8 + 98 + 48, 3)
    for row, greys in enumerate([(60, 60), (10, 60), (255, 60), (60, 255)]):
        assert sheet[18 + 28 * row, [10, 110], 0].tolist() == list(greys)
    titled = make_sheet([[narrow]], ['a title that is wider than its picture'])
    assert titled.shape[1] > 100
    captioned = make_sheet([[narrow]], ['title'], [['a photo', 'its figures']])
    assert captioned[45 + 2 * 21, 12, 0] == 60
