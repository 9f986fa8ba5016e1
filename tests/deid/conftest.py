from collections.abc import Callable

import pytest
from pydicom.dataset import Dataset

from clara_ops.deid.engine import Treatment, deidentify
from clara_ops.deid.own_words import own_words
from clara_ops.deid.private_attributes import AllowList
from clara_ops.deid.profile import Option
from clara_ops.deid.pseudonyms import Pseudonyms, UidMap, identity_of

KEY = b"a key that only the tests know"


@pytest.fixture
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(KEY)


@pytest.fixture
def clean(pseudonyms: Pseudonyms) -> Callable[..., Dataset]:
    """De-identifies a dataset, in place, with some options."""

    def run(dataset: Dataset, *options: Option, private: AllowList = AllowList()) -> Dataset:  # noqa: B008
        chosen = frozenset((*options, Option.CLEAN_STRUCTURED_CONTENT))
        own = own_words(dataset, with_uids=Option.RETAIN_UIDS not in chosen)
        subject = pseudonyms.subject(identity_of(dataset))
        sop_class_uid = str(dataset.get("SOPClassUID") or "")
        deidentify(dataset, Treatment(chosen, UidMap(pseudonyms), subject, own, private, sop_class_uid))
        return dataset

    return run
