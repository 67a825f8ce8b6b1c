"""An app that signs in at the edge: an old version is refused, a new one gets a challenge, enters the code, and watches.

usage: CA=... EMAIL=... PASSWORD=... sign_in.py HOST:PORT < code

CA is the path of the certificates to trust, in PEM. The modules that it imports are generated from proto/ (see the README).
"""

import os
import sys

import grpc
from google.rpc import error_details_pb2, status_pb2

from countersign.v1 import (
    device_pb2,
    login_activity_pb2,
    login_activity_pb2_grpc,
    trusted_devices_pb2,
    trusted_devices_pb2_grpc,
    two_step_auth_pb2,
    two_step_auth_pb2_grpc,
)


def reason_of(error: grpc.RpcError) -> str:
    """What the refusal says for programs: the reason of its google.rpc.ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return info.reason
    return ""


def refused(name: str, call) -> None:
    """Says why a call was refused, and what the lowest version is."""
    try:
        call()
    except grpc.RpcError as error:
        minimum = dict(error.trailing_metadata()).get("countersign-minimum-version")
        print(name, error.code().name, reason_of(error), minimum, flush=True)


def sign_in(address: str, ca: bytes, email: str, password: str) -> None:
    def app(version: str, *more):
        return [("countersign-client-version", version), ("countersign-client-platform", "android"), *more]

    with grpc.secure_channel(address, grpc.ssl_channel_credentials(ca)) as channel:
        auth = two_step_auth_pb2_grpc.TwoStepAuthStub(channel)
        device = device_pb2.Device(display_name="Pixel", model="Pixel 11", platform=device_pb2.PLATFORM_ANDROID)
        request = two_step_auth_pb2.SignInRequest(email=email, password=password, device=device)
        refused("old", lambda: auth.SignIn(request, metadata=app("2.2"), timeout=20))

        grant = auth.SignIn(request, metadata=app("2.3"), timeout=20).challenge_grant
        print("challenge", flush=True)
        entered = two_step_auth_pb2.VerifyCodeRequest(challenge_token=grant.challenge_token, code=sys.stdin.readline().strip())
        session = auth.VerifyCode(entered, metadata=app("2.3"), timeout=20).session
        metadata = app("2.3", ("authorization", f"Bearer {session.access_token}"))

        activity = login_activity_pb2_grpc.LoginActivityStub(channel)
        events = activity.ListLoginActivity(login_activity_pb2.ListLoginActivityRequest(), metadata=metadata, timeout=20).events
        print("signed in from", events[0].ip_address, flush=True)

        devices = trusted_devices_pb2_grpc.TrustedDevicesStub(channel)
        for answer in devices.WatchDevice(trusted_devices_pb2.WatchDeviceRequest(), metadata=metadata):
            print("hears", answer.WhichOneof("event"), flush=True)
            break

        # What is not for apps.
        inside = channel.unary_unary("/countersign.internal.v1.Sessions/GetSigningKeys")
        refused("inside", lambda: inside(b"", timeout=20))


if __name__ == "__main__":
    with open(os.environ["CA"], "rb") as file:
        sign_in(sys.argv[1], file.read(), os.environ["EMAIL"], os.environ["PASSWORD"])
