"""The listener as a pod: reached from outside, as user 1000 with a read-only root, while Airflow is not there."""

import httpx
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.kube.platform.deployment import Peer, Platform

pytestmark = [pytest.mark.kube, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


def test_modalities_and_tools_reach_it_through_the_node(platform: Platform) -> None:
    nobody = Peer("DCM4CHEE", "DCM4CHEE", platform.here, 9)
    with platform.running_listener(f"http://{platform.here}:9", "admin", "none", nobody) as listener:
        modality = AE("PACS")
        modality.add_requested_context(Verification)
        association = modality.associate(listener.host, listener.dicom_port, ae_title="CT_AI")
        assert association.is_established
        assert association.send_c_echo().Status == 0
        association.release()
        assert httpx.get(f"{listener.api_url}/v1/series").status_code == 401
        authorization = {"Authorization": f"Bearer {listener.token}"}
        assert httpx.get(f"{listener.api_url}/v1/series", headers=authorization).status_code == 200
