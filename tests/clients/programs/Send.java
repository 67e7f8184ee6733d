import com.google.gson.Gson;
import com.segment.analytics.Analytics;
import com.segment.analytics.Callback;
import com.segment.analytics.messages.AliasMessage;
import com.segment.analytics.messages.GroupMessage;
import com.segment.analytics.messages.IdentifyMessage;
import com.segment.analytics.messages.Message;
import com.segment.analytics.messages.MessageBuilder;
import com.segment.analytics.messages.PageMessage;
import com.segment.analytics.messages.ScreenMessage;
import com.segment.analytics.messages.TrackMessage;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Phaser;
import java.util.concurrent.TimeUnit;

/** `java Send.java every|bad|many|twice`: what send.mjs does, by Segment's library for Java. */
public class Send {
  static final String USER_ID = System.getenv("USER_ID");
  static final List<String> FAILURES = new CopyOnWriteArrayList<>();
  /** Messages that the library has said nothing of yet; it waits no longer than a second when it is shut down. */
  static final Phaser WAITING = new Phaser(1);
  static Analytics analytics;

  public static void main(String[] args) throws Exception {
    analytics = Analytics.builder(System.getenv("KEY"))
        .endpoint(System.getenv("URL"))
        .flushQueueSize(5)
        .flushInterval(1, TimeUnit.SECONDS)
        .retries(10)
        .callback(new Callback() {
          public void success(Message message) {
            WAITING.arriveAndDeregister();
          }

          public void failure(Message message, Throwable error) {
            FAILURES.add(String.valueOf(error.getMessage()));
            WAITING.arriveAndDeregister();
          }
        })
        .build();
    switch (args[0]) {
      case "every": every(); break;
      case "bad": bad(); break;
      case "many": many(); break;
      default: twice();
    }
    analytics.flush();
    WAITING.arriveAndAwaitAdvance();
    analytics.shutdown();
    System.out.println(new Gson().toJson(Map.of("failures", FAILURES)));
    System.exit(0);
  }

  static void send(MessageBuilder<?, ?> message) {
    WAITING.register();
    analytics.enqueue(message);
  }

  static void every() {
    String device = USER_ID + "'s device";
    send(TrackMessage.builder("Product Viewed").anonymousId(device).properties(Map.of("sku", "A1")));
    send(IdentifyMessage.builder().userId(USER_ID).traits(Map.of("plan", "pro", "email", "jane@example.com")));
    send(TrackMessage.builder("Order Completed").userId(USER_ID).properties(Map.of("total", 9)));
    send(PageMessage.builder("Pricing").userId(USER_ID).properties(Map.of("url", "https://shop.example.com/pricing")));
    send(ScreenMessage.builder("Settings").userId(USER_ID));
    send(GroupMessage.builder(USER_ID + "'s group").userId(USER_ID).traits(Map.of("name", "Acme")));
    send(AliasMessage.builder(device).userId(USER_ID));
  }

  static void counted(int n, Map<String, Object> more) {
    Map<String, Object> properties = new HashMap<>(more);
    properties.put("n", n);
    send(TrackMessage.builder("Counted").userId(USER_ID).properties(properties));
  }

  static void bad() {
    Map<String, Object> tooMany = new HashMap<>();
    for (int i = 0; i < 501; i++) tooMany.put("p" + i, i);
    for (int n = 1; n <= 3; n++) counted(n, n == 2 ? tooMany : Map.of());
  }

  static void many() throws InterruptedException {
    for (int n = 1; n <= Integer.parseInt(System.getenv("COUNT")); n++) {
      counted(n, Map.of());
      Thread.sleep(Integer.parseInt(System.getenv("PACE_MS")));
    }
  }

  static void twice() throws InterruptedException {
    send(IdentifyMessage.builder().userId(USER_ID).traits(Map.of("plan", "old", "name", "Jane")));
    Thread.sleep(1500);
    send(IdentifyMessage.builder().userId(USER_ID).traits(Map.of("plan", "new")));
  }
}
