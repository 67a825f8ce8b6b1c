import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import countersign.internal.v1.SessionsGrpc;
import countersign.internal.v1.SessionsOuterClass.IntrospectSessionRequest;
import countersign.internal.v1.SessionsOuterClass.IntrospectSessionResponse;
import countersign.internal.v1.SessionsOuterClass.Revocation;
import countersign.internal.v1.SessionsOuterClass.WatchRevocationsRequest;
import countersign.internal.v1.SessionsOuterClass.WatchRevocationsResponse;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

/**
 * A service that checks access tokens by itself: who is this, and when does it end?
 *
 * <p>usage: SERVICE_TOKEN=... ACCESS_TOKEN=... java FollowRevocations HOST:PORT
 *
 * <p>It asks once whose token this is, then follows the revocations until that session is among them. The classes that it
 * imports are generated from proto/ (see the README).
 */
public final class FollowRevocations {
  public static void main(String[] args) throws InvalidProtocolBufferException {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(args[0]).usePlaintext().build();
    try {
      follow(channel, System.getenv("SERVICE_TOKEN"), System.getenv("ACCESS_TOKEN"));
    } catch (StatusRuntimeException refused) {
      System.out.println("refused " + refused.getStatus().getCode() + " " + reasonOf(refused));
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  private static void follow(ManagedChannel channel, String serviceToken, String accessToken) {
    Metadata caller = new Metadata();
    caller.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER), "Bearer " + serviceToken);
    SessionsGrpc.SessionsBlockingStub sessions =
        SessionsGrpc.newBlockingStub(channel).withInterceptors(MetadataUtils.newAttachHeadersInterceptor(caller));

    IntrospectSessionRequest request = IntrospectSessionRequest.newBuilder().setAccessToken(accessToken).build();
    IntrospectSessionResponse session = sessions.withDeadlineAfter(5, TimeUnit.SECONDS).introspectSession(request);
    String state = session.getActive() ? "active" : "inactive";
    System.out.println(state + " " + session.getSessionId() + " " + String.join(",", session.getAmrList()));

    // No deadline: it stays open. Whoever wants to know whether it lives looks at the keep-alives.
    Iterator<WatchRevocationsResponse> events = sessions.watchRevocations(WatchRevocationsRequest.getDefaultInstance());
    while (events.hasNext()) {
      WatchRevocationsResponse event = events.next();
      if (event.hasCaughtUp()) System.out.println("caught up");
      Revocation revocation = event.getRevocation();
      if (event.hasRevocation() && revocation.getSessionId().equals(session.getSessionId())) {
        System.out.println("revoked " + revocation.getSessionId() + " " + revocation.getCause());
        return;
      }
    }
  }

  /** What the refusal says for programs: the reason of its google.rpc.ErrorInfo. */
  private static String reasonOf(StatusRuntimeException refused) throws InvalidProtocolBufferException {
    com.google.rpc.Status status = StatusProto.fromThrowable(refused);
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) return detail.unpack(ErrorInfo.class).getReason();
    }
    return "";
  }
}
