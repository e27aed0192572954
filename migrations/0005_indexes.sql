DROP INDEX "actor_host";--> statement-breakpoint
DROP INDEX "delivery_flattr";--> statement-breakpoint
CREATE INDEX "actor_handle" ON "actor" USING btree ("host",lower("name"));--> statement-breakpoint
CREATE INDEX "delivery_message" ON "delivery" USING btree ("message") WHERE "delivery"."message" IS NOT NULL;