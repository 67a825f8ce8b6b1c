"""A service that checks access tokens by itself: who is this, and when does it end?

usage: SERVICE_TOKEN=... ACCESS_TOKEN=... follow_revocations.py HOST:PORT

It asks once whose token this is, then follows the revocations until that session is among them. The modules that it imports
are generated from proto/ (see the README).
"""

import os
import sys

import grpc
from google.rpc import error_details_pb2, status_pb2

from countersign.internal.v1 import sessions_pb2, sessions_pb2_grpc


def reason_of(error: grpc.RpcError) -> str:
    """What the refusal says for programs: the reason of its google.rpc.ErrorInfo."""
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(info):
                    return info.reason
    return ""


def follow(address: str, service_token: str, access_token: str) -> None:
    caller = [("authorization", f"Bearer {service_token}")]
    with grpc.insecure_channel(address) as channel:
        sessions = sessions_pb2_grpc.SessionsStub(channel)

        request = sessions_pb2.IntrospectSessionRequest(access_token=access_token)
        session = sessions.IntrospectSession(request, metadata=caller, timeout=5)
        print("active" if session.active else "inactive", session.session_id, ",".join(session.amr), flush=True)

        # No deadline: it stays open. Whoever wants to know whether it lives looks at the keep-alives.
        for answer in sessions.WatchRevocations(sessions_pb2.WatchRevocationsRequest(), metadata=caller):
            event = answer.WhichOneof("event")
            if event == "caught_up":
                print("caught up", flush=True)
            elif event == "revocation" and answer.revocation.session_id == session.session_id:
                print("revoked", answer.revocation.session_id, answer.revocation.cause, flush=True)
                return


if __name__ == "__main__":
    try:
        follow(sys.argv[1], os.environ["SERVICE_TOKEN"], os.environ["ACCESS_TOKEN"])
    except grpc.RpcError as refused:
        print("refused", refused.code().name, reason_of(refused), flush=True)
        sys.exit(1)
