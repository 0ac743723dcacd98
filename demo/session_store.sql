-- The WhatsApp session store as the application made it: what the demo, the tests and the
-- benchmarks fill with generated sessions.

CREATE TABLE public.whatsapp_auth (
    company_id text PRIMARY KEY,
    creds jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.whatsapp_keys (
    company_id text NOT NULL,
    key_type text NOT NULL,
    key_id text NOT NULL,
    value jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    PRIMARY KEY (company_id, key_type, key_id)
)
-- Sessions are rewritten with every message: room for the new version on the same page.
WITH (fillfactor = 80);

CREATE INDEX idx_whatsapp_keys_company ON public.whatsapp_keys (company_id);
CREATE INDEX idx_whatsapp_keys_company_type ON public.whatsapp_keys (company_id, key_type);
CREATE INDEX idx_whatsapp_keys_updated_at ON public.whatsapp_keys (updated_at);
CREATE INDEX idx_whatsapp_keys_expires_at ON public.whatsapp_keys (expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX idx_whatsapp_auth_updated_at ON public.whatsapp_auth (updated_at);

COMMENT ON TABLE public.whatsapp_auth IS 'WhatsApp credentials, one row per company';
COMMENT ON COLUMN public.whatsapp_auth.creds IS 'Baileys AuthenticationCreds';
COMMENT ON TABLE public.whatsapp_keys IS 'Signal keys of the WhatsApp sessions';
COMMENT ON COLUMN public.whatsapp_keys.key_type IS 'pre-key, session, sender-key, ...';
COMMENT ON COLUMN public.whatsapp_keys.value IS 'Key data; bytes as JSON.stringify left them';
COMMENT ON COLUMN public.whatsapp_keys.expires_at IS 'NULL: does not expire';

CREATE FUNCTION public.update_updated_at_column() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$;

CREATE TRIGGER update_whatsapp_auth_updated_at BEFORE UPDATE ON public.whatsapp_auth
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
CREATE TRIGGER update_whatsapp_keys_updated_at BEFORE UPDATE ON public.whatsapp_keys
    FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

ALTER TABLE public.whatsapp_auth ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.whatsapp_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY whatsapp_auth_service ON public.whatsapp_auth USING (true);
CREATE POLICY whatsapp_keys_service ON public.whatsapp_keys USING (true);
